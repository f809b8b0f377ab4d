using Microsoft.AspNetCore.Connections;

namespace Millau.Ingress;

/// <summary>
/// One port that clients connect to. Each of its connections carries it as a feature, so that a request knows where it
/// came in.
/// </summary>
/// <param name="protocol"><c>http</c> or <c>https</c>.</param>
internal sealed class Listener(string protocol)
{
    /// <summary>Stands in where a connection has none.</summary>
    public static readonly Listener None = new("");

    private int _open;

    public string Protocol { get; } = protocol;

    /// <summary>As metrics and logs write it: <c>:8080</c>. Empty until <see cref="Bind"/>.</summary>
    public string Port { get; private set; } = "";

    /// <summary>It accepts connections.</summary>
    public bool IsOpen { get; set; }

    /// <summary>Connections that are open, those in a TLS handshake included.</summary>
    public int OpenConnections => Volatile.Read(ref _open);

    /// <summary>Watches the connections of a port; to be put on them before anything else, TLS too.</summary>
    public ConnectionDelegate Watch(ConnectionDelegate next) => connection => ServeAsync(next, connection);

    /// <summary>Says which port it is: before it is bound, so that it is told of from the start; or after, if the system chose.</summary>
    public void Bind(int port) => Port = $":{port}";

    private async Task ServeAsync(ConnectionDelegate next, ConnectionContext connection)
    {
        connection.Features.Set(this);
        Interlocked.Increment(ref _open);
        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }
}
