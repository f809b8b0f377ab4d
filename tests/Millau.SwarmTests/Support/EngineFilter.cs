using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Millau.SwarmTests.Support;

/// <summary>
/// A filtering proxy before an Engine's socket, as people put one there: it answers 403 to one path and lets all others pass.
/// One request a connection.
/// </summary>
internal sealed class EngineFilter : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Any, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly string _socket;
    private readonly string _refused;
    private readonly Task _accepting;

    /// <param name="node">Whose Engine.</param>
    /// <param name="refused">The path without its version, such as <c>/services</c>.</param>
    public EngineFilter(Node node, string refused)
    {
        _socket = node.DockerHost["unix://".Length..];
        _refused = refused;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>What DOCKER_HOST is to be in a container of the lab.</summary>
    public string DockerHost => $"tcp://{Lab.ClientAddress}:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        var serving = new List<Task>();
        try
        {
            while (true)
                serving.Add(ServeAsync(await _listener.AcceptSocketAsync(_end.Token)));
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(serving);
        }
    }

    private async Task ServeAsync(Socket accepted)
    {
        using var client = new NetworkStream(accepted, ownsSocket: true);
        try
        {
            var head = "";
            var buffer = new byte[4096];
            while (!head.Contains("\r\n\r\n", StringComparison.Ordinal))
            {
                var read = await client.ReadAsync(buffer, _end.Token);
                if (read == 0)
                    return;
                head += Encoding.ASCII.GetString(buffer, 0, read);
            }

            if (head.Split(' ')[1].Split('?')[0].EndsWith(_refused, StringComparison.Ordinal))
            {
                await client.WriteAsync(
                    "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\nForbidden"u8.ToArray(), _end.Token);
                return;
            }

            using var engine = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await engine.ConnectAsync(new UnixDomainSocketEndPoint(_socket), _end.Token);
            await engine.SendAsync(Encoding.ASCII.GetBytes(head.Replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", StringComparison.Ordinal)), _end.Token);
            await using var answer = new NetworkStream(engine);
            await answer.CopyToAsync(client, _end.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException)
        {
            // One of the two has gone, or the test is over.
        }
    }
}
