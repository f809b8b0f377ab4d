using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Discovery;

namespace Millau.Tests.Wire;

/// <summary>A proxy on a loopback port of its own, with a catalog that the test writes.</summary>
internal sealed class TestProxy : IAsyncDisposable
{
    public const string ServedBy = "proxy-1";

    private readonly MillauProxy _proxy;

    private TestProxy(MillauProxy proxy) => _proxy = proxy;

    public IPEndPoint EndPoint => _proxy.EndPoint;

    public MillauProxy Proxy => _proxy;

    public static async Task<TestProxy> StartAsync(params ImmutableArray<Service> services)
    {
        var proxy = new MillauProxy(ServedBy, TimeProvider.System, NullLoggerFactory.Instance);
        proxy.Apply(new ServiceCatalog(services));
        await proxy.ListenAsync(IPAddress.Loopback, 0);
        return new TestProxy(proxy);
    }

    /// <summary>A service for all hosts and paths, with one instance for each address.</summary>
    public static Service Service(params IPEndPoint[] instances) => Service("app", instances);

    public static Service Service(string name, params IPEndPoint[] instances) => new()
    {
        Name = name,
        Hosts = ["*"],
        Path = "/",
        Timeout = TimeSpan.FromSeconds(5),
        Retry = TimeSpan.FromSeconds(60),
        Instances = [.. instances.Select((e, i) => new Instance($"{name}.{i}", $"{name}-{i + 1}", e, InstancePhase.Running))],
    };

    public void Apply(params ImmutableArray<Service> services) => _proxy.Apply(new ServiceCatalog(services));

    public Task<ScriptedConnection> ConnectAsync() => ScriptedConnection.ConnectAsync(EndPoint);

    /// <summary>Sends a request on a connection of its own and reads all that comes until the connection ends.</summary>
    public async Task<string> RoundTripAsync(string request)
    {
        await using var client = await ConnectAsync();
        await client.SendAsync(request);
        return await client.ReadToEndAsync();
    }

    /// <summary>A GET that closes the connection.</summary>
    public Task<string> GetAsync(string path = "/", string host = "a.test") =>
        RoundTripAsync($"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");

    public ValueTask DisposeAsync() => _proxy.DisposeAsync();
}
