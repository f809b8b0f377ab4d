using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Millau.Demo;
using Millau.Tests.Wire;

namespace Millau.PeerTests.Support;

/// <summary>A service with one instance, whose connections a test serves byte for byte.</summary>
internal sealed class LoopbackService : IDisposable
{
    private readonly TcpListener _listener;
    private readonly Func<ScriptedConnection, Task> _serve;

    private LoopbackService(TcpListener listener, Func<ScriptedConnection, Task> serve)
    {
        _listener = listener;
        _serve = serve;
        _ = AcceptAsync();
    }

    /// <summary>Shows it to Millau as a task of a Swarm service.</summary>
    /// <param name="engine">Where it is shown.</param>
    /// <param name="name">The service's.</param>
    /// <param name="host">What it is routed for; null for all hosts.</param>
    /// <param name="serve">Called for each connection, which ends with it.</param>
    public static LoopbackService Deploy(EngineStandIn engine, string name, string? host, Func<ScriptedConnection, Task> serve)
    {
        // An address of its own: 127.0.0.1 is where Millau's own ports are.
        var address = IPAddress.Parse("127.44.0.1");
        var listener = new TcpListener(address, 0);
        listener.Start(backlog: 512);
        var model = new StandInService(engine.NewId("service"), name);
        model.Labels["millau.enabled"] = "true";
        model.Labels["millau.port"] = ((IPEndPoint)listener.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);
        if (host is not null) model.Labels["millau.hosts"] = host;
        var task = new StandInTask(engine.NewId("task"), model) { ContainerId = engine.NewId("container") };
        task.Attachments.Add((engine.Bridge, $"{address}/8"));
        engine.Change(e =>
        {
            e.Services.Add(model);
            e.Tasks.Add(task);
        });
        engine.Emit("service", "create", model.Id);
        return new LoopbackService(listener, serve);
    }

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await _listener.AcceptSocketAsync());
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidOperationException)
        {
            // The end.
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        socket.NoDelay = true;
        await using var connection = new ScriptedConnection(socket);
        try
        {
            await _serve(connection);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // The other side went.
        }
    }
}
