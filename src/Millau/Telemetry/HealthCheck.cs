using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Millau.Telemetry;

/// <summary>
/// Asks the health answer of the instance on this host, as a container's health check does every few seconds: over a
/// bare socket, because an HTTP client costs more to start than the question.
/// </summary>
internal static class HealthCheck
{
    private static readonly byte[] Request =
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"u8.ToArray();

    /// <summary>Asks once.</summary>
    /// <param name="port">The telemetry port.</param>
    /// <param name="deadline">For the whole check.</param>
    /// <returns>Null if the answer is 200; else why not, in one line.</returns>
    public static async Task<string?> RunAsync(int port, TimeSpan deadline)
    {
        using var timeout = new CancellationTokenSource(deadline);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), timeout.Token).ConfigureAwait(false);
            await socket.SendAsync(Request, timeout.Token).ConfigureAwait(false);
            var statusLine = await ReadLineAsync(socket, timeout.Token).ConfigureAwait(false);
            return statusLine.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal)
                ? null
                : $"unhealthy: port {port} answered \"{statusLine}\"";
        }
        catch (SocketException e)
        {
            return $"unhealthy: port {port}: {e.Message}";
        }
        catch (OperationCanceledException)
        {
            return $"unhealthy: port {port} gave no answer within {deadline.TotalSeconds:0.###} s";
        }
    }

    /// <summary>Reads up to the first line end, the end of the stream, or as much as a status line may have.</summary>
    private static async Task<string> ReadLineAsync(Socket socket, CancellationToken cancellation)
    {
        var buffer = new byte[256];
        var length = 0;
        while (length < buffer.Length && buffer.AsSpan(0, length).IndexOf((byte)'\n') < 0)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(length), cancellation).ConfigureAwait(false);
            if (read == 0)
                break;
            length += read;
        }

        var line = buffer.AsSpan(0, length);
        var end = line.IndexOfAny((byte)'\r', (byte)'\n');
        line = end < 0 ? line : line[..end];
        foreach (ref var b in line)
        {
            if (b is < 0x20 or > 0x7E)
                b = (byte)'?';
        }

        return Encoding.ASCII.GetString(line);
    }
}
