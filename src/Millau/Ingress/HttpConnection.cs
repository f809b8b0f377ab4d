using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Millau.Ingress;

/// <summary>What all connections of one port have in common.</summary>
/// <param name="Handler">Answers the requests.</param>
/// <param name="Limits">What clients may take.</param>
/// <param name="Clock">The server's heartbeat.</param>
/// <param name="Logger">For what goes wrong on a connection.</param>
internal sealed record HttpService(IRequestHandler Handler, ClientLimits Limits, ServerClock Clock, ILogger Logger)
{
    /// <summary>Serves a connection to its end; the server's heartbeat and stop reach it from now on.</summary>
    public Task ServeAsync(HttpConnection http)
    {
        http.Connection.Features.GetRequiredFeature<ConnectionServer.OpenConnection>().Attach(http);
        return http.RunAsync();
    }
}

/// <summary>A client's connection that speaks HTTP, from behind the handshake to its end.</summary>
/// <remarks>
/// Concurrency: <see cref="RunAsync"/> once; <see cref="Tick"/> by the server's heartbeat; <see cref="RequestClose"/> and
/// <see cref="ConnectionContext.Abort()"/> by any thread.
/// </remarks>
internal abstract class HttpConnection(ConnectionContext connection, HttpService service)
{
    public ConnectionContext Connection { get; } = connection;

    protected HttpService Service { get; } = service;

    protected ClientPeer Client { get; } = new(connection);

    /// <summary>
    /// The client said with its last request, which had no body, that it sends no more: when the connection is over it can be closed at
    /// once.
    /// </summary>
    public bool ClientIsDone { get; protected set; }

    /// <summary>Serves requests until the client has gone or is to go. Throws nothing.</summary>
    public abstract Task RunAsync();

    /// <summary>A second has passed: ends what took too long.</summary>
    /// <param name="now">Milliseconds, as <see cref="ServerClock.Now"/>.</param>
    public abstract void Tick(long now);

    /// <summary>The server stops: closes the connection now if it is idle, and else when what is under way is answered.</summary>
    public abstract void RequestClose();
}
