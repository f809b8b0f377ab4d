using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Millau.Demo;

namespace Millau.PeerTests.Support;

/// <summary>A service with one instance that answers with the code that its path names: <c>GET /404</c> gets a 404.</summary>
internal sealed class CodedService : IDisposable
{
    private readonly TcpListener _listener;

    private CodedService(TcpListener listener)
    {
        _listener = listener;
        _ = AcceptAsync();
    }

    /// <summary>Shows it to Millau as a task of a Swarm service, routed for one host.</summary>
    public static CodedService Deploy(EngineStandIn engine, string name, string host)
    {
        // An address of its own: 127.0.0.1 is where Millau's own ports are.
        var address = IPAddress.Parse("127.44.0.1");
        var listener = new TcpListener(address, 0);
        listener.Start();
        var model = new StandInService(engine.NewId("service"), name);
        model.Labels["millau.enabled"] = "true";
        model.Labels["millau.port"] = ((IPEndPoint)listener.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);
        model.Labels["millau.hosts"] = host;
        var task = new StandInTask(engine.NewId("task"), model) { ContainerId = engine.NewId("container") };
        task.Attachments.Add((engine.Bridge, $"{address}/8"));
        engine.Change(e =>
        {
            e.Services.Add(model);
            e.Tasks.Add(task);
        });
        engine.Emit("service", "create", model.Id);
        return new CodedService(listener);
    }

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await _listener.AcceptTcpClientAsync());
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidOperationException)
        {
            // The end.
        }
    }

    private static async Task ServeAsync(TcpClient client)
    {
        using var connection = client;
        try
        {
            using var reader = new StreamReader(client.GetStream(), Encoding.Latin1);
            while (await reader.ReadLineAsync() is { Length: > 0 } start)
            {
                while (await reader.ReadLineAsync() is { Length: > 0 })
                {
                }
                var answer = $"HTTP/1.1 {start.Split(' ')[1][1..]} X\r\nContent-Length: 4\r\n\r\ncode";
                await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(answer));
            }
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // The client went.
        }
    }
}
