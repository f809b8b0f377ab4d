using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Millau.Bench;

/// <summary>
/// What uploads are forwarded to: reads each whole, then answers. An nginx keeps a body in memory that it allots for each
/// request, and whether that comes back from the system page by page or not at all differs from run to run; this one has one
/// buffer for each connection, so that an upload costs the load's cores the same whoever the proxy is.
/// </summary>
/// <remarks>A thread for each connection, in the bench's own process, which is on the load's cores.</remarks>
internal sealed class UploadOrigin : IDisposable
{
    // Small enough to stay in the cache of its core.
    private const int BufferBytes = 128 * 1024;

    private static readonly byte[] Answer = Encoding.ASCII.GetBytes(
        $"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {Workload.JsonBytes}\r\n\r\n{Workload.Json}");

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public UploadOrigin()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(1024);
        new Thread(Accept) { IsBackground = true, Name = "uploads" }.Start();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    public void Dispose() => _listener.Dispose();

    private void Accept()
    {
        try
        {
            while (true)
            {
                var accepted = _listener.Accept();
                accepted.NoDelay = true;
                new Thread(() => Serve(accepted)) { IsBackground = true }.Start();
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The end.
        }
    }

    private static void Serve(Socket accepted)
    {
        using var socket = accepted;
        try
        {
            var buffer = new byte[BufferBytes];
            while (TryServe(socket, buffer))
            {
            }
        }
        catch (SocketException)
        {
            // The proxy has ended.
        }
    }

    /// <summary>One request of a connection. False at its end, or if it is none that a proxy sends here.</summary>
    private static bool TryServe(Socket socket, byte[] buffer)
    {
        var length = 0;
        int end;
        while ((end = buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8)) < 0)
        {
            if (length == buffer.Length || socket.Receive(buffer.AsSpan(length)) is not (> 0 and var received)) return false;
            length += received;
        }
        if (LengthOf(Encoding.ASCII.GetString(buffer, 0, end)) is not { } body) return false;
        for (var left = body - (length - end - 4); left > 0;)
        {
            var received = socket.Receive(buffer.AsSpan(0, (int)Math.Min(left, buffer.Length)));
            if (received == 0) return false;
            left -= received;
        }
        socket.Send(Answer);
        return true;
    }

    /// <summary>Of the body; null for a chunked one, which no proxy makes of a body whose length it was told.</summary>
    private static long? LengthOf(string head)
    {
        long length = 0;
        foreach (var line in head.Split("\r\n"))
        {
            if (line.StartsWith("transfer-encoding:", StringComparison.OrdinalIgnoreCase)) return null;
            if (line.StartsWith("content-length:", StringComparison.OrdinalIgnoreCase))
                length = long.Parse(line.AsSpan("content-length:".Length), CultureInfo.InvariantCulture);
        }
        return length;
    }
}
