using System.Net;
using System.Net.Sockets;
using System.Text;
using Millau.Demo;
using Millau.PeerTests.Support;
using Millau.Tests.Shared;

namespace Millau.PeerTests.Hostile;

/// <summary>
/// Each request of docs/hostile.md through Millau, HAProxy and nginx to one origin that keeps the raw bytes. Millau must do what
/// its table says; what the others do is written to artifacts/differential.md, so that a difference is seen and can be judged.
/// </summary>
public class DifferentialTests
{
    // Some of what is sent the others take for the beginning of more, and wait.
    private static readonly TimeSpan OthersPatience = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Of_what_Millau_refuses_nothing_gets_through_and_what_the_others_do_is_written_down()
    {
        await using var origin = new RecordingOrigin();
        await using var engine = await EngineStandIn.StartAsync();
        await using var millau = await MillauBinary.StartAsync(engine);
        StandInStack.Run(engine, StandInStack.Add(engine, "app", origin.Port, ("millau.retry", "0.001")), 1, "127.0.0.1");
        await Until.TrueAsync(() => millau.Output.Contains("instance up", StringComparison.Ordinal), "instance up");
        var directory = Directory.CreateTempSubdirectory("millau-differential");
        var ports = Ports.Free(2);
        await File.WriteAllTextAsync(Path.Combine(directory.FullName, "haproxy.cfg"),
            $"defaults\n mode http\n timeout connect 2s\n timeout client 5s\n timeout server 5s\nfrontend f\n bind 127.0.0.1:{ports[0]}\n default_backend b\nbackend b\n server s 127.0.0.1:{origin.Port}\n");
        await File.WriteAllTextAsync(Path.Combine(directory.FullName, "nginx.conf"),
            $"daemon off; pid {directory.FullName}/pid; error_log stderr crit;\nevents {{}}\nhttp {{ access_log off; client_body_temp_path {directory.FullName}; proxy_temp_path {directory.FullName}; fastcgi_temp_path {directory.FullName}; uwsgi_temp_path {directory.FullName}; scgi_temp_path {directory.FullName};\n server {{ listen 127.0.0.1:{ports[1]}; location / {{ proxy_pass http://127.0.0.1:{origin.Port}; proxy_http_version 1.1; proxy_set_header Host $http_host; }} }} }}\n");
        await using var haproxy = Tool.Start("haproxy", ["-db", "-f", Path.Combine(directory.FullName, "haproxy.cfg")]);
        await using var nginx = Tool.Start("nginx", ["-p", directory.FullName, "-c", Path.Combine(directory.FullName, "nginx.conf")]);
        foreach (var port in ports) await Until.TrueAsync(() => Connects(port), "peer listens");

        var rows = new List<string>();
        var wrong = new List<string>();
        var requests = HostileRequests.All.Select(r => (r.Row, r.Name, r.Bytes, Refused: true))
            .Concat(HarmlessRequests.All.Select(r => (r.Row, r.Name, r.Bytes, Refused: false))).OrderBy(r => r.Row);
        foreach (var request in requests)
        {
            var results = new List<string>();
            foreach (var port in new[] { millau.Http, ports[0], ports[1] })
            {
                var status = await SendAsync(port, request.Bytes, port == millau.Http ? Until.Deadline : OthersPatience);
                results.Add($"{status}{Describe(await origin.TakeAsync())}");
            }
            if (request.Refused != (results[0].Length == 3)) wrong.Add($"{request.Name}: {results[0]}");
            rows.Add($"| {request.Row} | {request.Name} | {string.Join(" | ", results)} |");
        }
        Directory.CreateDirectory(Path.Combine(MillauBinary.Root, "artifacts"));
        await File.WriteAllTextAsync(Path.Combine(MillauBinary.Root, "artifacts/differential.md"),
            "| row | request | Millau | HAProxy | nginx |\n| --- | --- | --- | --- | --- |\n" + string.Join('\n', rows) + "\n");
        directory.Delete(recursive: true);
        Assert.Empty(wrong);
    }

    /// <summary>The status of the first answer, or <c>cut</c>.</summary>
    private static async Task<string> SendAsync(int port, string bytes, TimeSpan patience)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectBlockingAsync(new IPEndPoint(IPAddress.Loopback, port));
        var sending = TrySendAsync(socket, Encoding.Latin1.GetBytes(bytes));
        var answer = new StringBuilder();
        var buffer = new byte[4096];
        using var deadline = new CancellationTokenSource(patience);
        try
        {
            while (!answer.ToString().Contains("\r\n\r\n", StringComparison.Ordinal)
                && await socket.ReceiveAsync(buffer, deadline.Token) is > 0 and var count)
                answer.Append(Encoding.Latin1.GetString(buffer, 0, count));
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
        }
        socket.Dispose();
        await sending;
        var text = answer.ToString();
        return deadline.IsCancellationRequested ? "waits" : text.StartsWith("HTTP/1.", StringComparison.Ordinal) ? text[9..12] : text.Length > 0 ? "0.9" : "cut";
    }

    private static async Task TrySendAsync(Socket socket, byte[] bytes)
    {
        try
        {
            for (var sent = 0; sent < bytes.Length;) sent += await socket.SendAsync(bytes.AsMemory(sent));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
        }
    }

    // Whether anything reached the origin, and if the end of the body did.
    private static string Describe(string received)
    {
        if (received.Length == 0) return "";
        var head = received.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (head < 0) return ", part of a head";
        var chunked = received[..head].Contains("chunked", StringComparison.OrdinalIgnoreCase);
        return chunked && !received.EndsWith("0\r\n\r\n", StringComparison.Ordinal) ? ", forwarded without an end" : ", forwarded";
    }

    private static bool Connects(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Connect(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
