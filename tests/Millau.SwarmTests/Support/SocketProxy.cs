using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace Millau.SwarmTests.Support;

/// <summary>
/// A filtering socket proxy before an Engine: GET on the paths that docs/operations.md lists, and 403 to all else. A connection for
/// each request.
/// </summary>
internal sealed partial class SocketProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Parse(Lab.ClientAddress), 0);
    private readonly string _socket;
    private readonly string? _refused;
    private readonly Task _serving;

    /// <param name="refused">A path that is refused too.</param>
    public SocketProxy(Node node, string? refused = null)
    {
        _socket = node.DockerHost["unix://".Length..];
        _refused = refused;
        _listener.Start();
        _serving = ServeAsync();
    }

    public string DockerHost => $"tcp://{_listener.LocalEndpoint}";

    /// <summary>The first line of each request that passed.</summary>
    public ConcurrentQueue<string> Passed { get; } = new();

    public ConcurrentQueue<string> Refused { get; } = new();

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _serving;
    }

    [GeneratedRegex(@"^GET (/v\d+\.\d+)?(/_ping|/version|/events|/services|/tasks|/networks|/info|/nodes|/containers/json|/containers/[0-9a-f]{64}/json)(\?\S*)? HTTP/1\.1$")]
    private static partial Regex Allowed();

    private async Task ServeAsync()
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptSocketAsync();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }
            _ = PassAsync(client);
        }
    }

    private async Task PassAsync(Socket client)
    {
        using var engine = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        using (client)
        {
            try
            {
                var head = await ReadHeadAsync(client);
                var line = head.Split("\r\n")[0];
                if (!Allowed().IsMatch(line) || (_refused is not null && line.Contains(_refused, StringComparison.Ordinal)))
                {
                    Refused.Enqueue(line);
                    await client.SendAsync("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray());
                    return;
                }
                Passed.Enqueue(line);
                await engine.ConnectAsync(new UnixDomainSocketEndPoint(_socket));
                await engine.SendAsync(Encoding.Latin1.GetBytes(head.Replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", StringComparison.Ordinal)));
                var buffer = new byte[16 * 1024];
                // Whoever hangs up first ends the other: an event stream has no end of its own.
                var gone = client.ReceiveAsync(new byte[1]);
                while (true)
                {
                    var receiving = engine.ReceiveAsync(buffer);
                    if (await Task.WhenAny(receiving, gone) == gone || await receiving is not (> 0 and var received)) return;
                    await client.SendAsync(buffer.AsMemory(0, received));
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // One of the two went.
            }
        }
    }

    private static async Task<string> ReadHeadAsync(Socket client)
    {
        var head = new StringBuilder();
        var buffer = new byte[4096];
        while (!head.ToString().Contains("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await client.ReceiveAsync(buffer) is not (> 0 and var received)) break;
            head.Append(Encoding.Latin1.GetString(buffer, 0, received));
        }
        return head.ToString();
    }
}
