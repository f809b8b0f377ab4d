using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Time.Testing;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Ingress;

namespace Millau.Tests.Wire;

/// <summary>A proxy on a loopback port of its own, with a catalog that the test writes.</summary>
internal sealed class TestProxy : IAsyncDisposable
{
    public const string ServedBy = "proxy-1";

    private readonly MillauProxy _proxy;

    private TestProxy(MillauProxy proxy, RecordedLog log)
    {
        _proxy = proxy;
        Log = log;
    }

    public IPEndPoint EndPoint => _proxy.EndPoint;

    public IPEndPoint TlsEndPoint => _proxy.TlsEndPoint;

    public MillauProxy Proxy => _proxy;

    public RecordedLog Log { get; }

    /// <summary>Starts, and waits until all instances are known to accept connections.</summary>
    public static Task<TestProxy> StartAsync(params ImmutableArray<Service> services) =>
        StartAsync(TimeProvider.System, services);

    /// <inheritdoc cref="StartAsync(ImmutableArray{Service})"/>
    public static async Task<TestProxy> StartAsync(TimeProvider time, params ImmutableArray<Service> services)
    {
        var proxy = await StartUnprobedAsync(time, ServedBy, services);
        await proxy.ApplyAsync(services);
        return proxy;
    }

    /// <summary>As <see cref="StartAsync(ImmutableArray{Service})"/>, with somebody who watches the requests.</summary>
    public static async Task<TestProxy> StartWatchedAsync(IRequestObserver observer, params ImmutableArray<Service> services)
    {
        var proxy = await StartUnprobedAsync(TimeProvider.System, ServedBy, "/nonexistent", [observer], services);
        await proxy.ApplyAsync(services);
        return proxy;
    }

    /// <summary>Starts without waiting for anything.</summary>
    public static Task<TestProxy> StartUnprobedAsync(
        TimeProvider time, string? servedBy, params ImmutableArray<Service> services) =>
        StartUnprobedAsync(time, servedBy, "/nonexistent", services);

    /// <summary>Starts with other rules for clients, and waits until all instances are known to accept connections.</summary>
    public static async Task<TestProxy> StartAsync(ClientRules clients, params ImmutableArray<Service> services)
    {
        var proxy = await StartUnprobedAsync(TimeProvider.System, ServedBy, "/nonexistent", services, clients);
        await proxy.ApplyAsync(services);
        return proxy;
    }

    /// <summary>Starts without waiting for anything; secrets are files of a directory.</summary>
    public static Task<TestProxy> StartUnprobedAsync(
        TimeProvider time, string? servedBy, string secrets, ImmutableArray<Service> services, ClientRules? clients = null) =>
        StartUnprobedAsync(time, servedBy, secrets, [], services, clients);

    private static async Task<TestProxy> StartUnprobedAsync(
        TimeProvider time, string? servedBy, string secrets, IRequestObserver[] observers, ImmutableArray<Service> services,
        ClientRules? clients = null)
    {
        var log = new RecordedLog();
        var options = new ProxyOptions { ServedBy = servedBy, Secrets = secrets, RedirectPort = 8443, Clients = clients ?? new ClientRules() };
        var proxy = new MillauProxy(options, time, log, observers);
        proxy.Apply(new ServiceCatalog(services));
        await proxy.ListenAsync(IPAddress.Loopback, 0, 0);
        return new TestProxy(proxy, log);
    }

    /// <summary>A service for all hosts and paths, with one instance for each address.</summary>
    public static Service Service(params IPEndPoint[] instances) => Service("app", instances);

    public static Service Service(string name, params IPEndPoint[] instances) => new()
    {
        Name = name,
        Hosts = ["*"],
        Path = "/",
        Timeout = TimeSpan.FromSeconds(30),
        Retry = TimeSpan.FromSeconds(60),
        Tls = InstanceKind.Labels,
        Instances = [.. instances.Select((e, i) => new Instance($"{name}.{i}", $"{name}-{i + 1}", e, InstancePhase.Running))],
    };

    /// <summary>Makes a catalog effective without waiting for its instances.</summary>
    public void Apply(params ImmutableArray<Service> services) => _proxy.Apply(new ServiceCatalog(services));

    /// <summary>Makes a catalog effective and waits until its instances are known to accept connections.</summary>
    public async Task ApplyAsync(params ImmutableArray<Service> services)
    {
        Apply(services);
        foreach (var instance in services.SelectMany(s => s.Instances))
            await Log.WaitForAsync($"instance up .*address={instance.EndPoint}$");
    }

    public Task<ScriptedConnection> ConnectAsync() => ScriptedConnection.ConnectAsync(EndPoint);

    /// <summary>Connects with TLS and takes any certificate; the server's name is what goes into SNI.</summary>
    public Task<ScriptedConnection> ConnectTlsAsync(string serverName = "a.test") =>
        ScriptedConnection.ConnectTlsAsync(TlsEndPoint, new() { TargetHost = serverName });

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

    /// <summary>Lets time pass, bit by bit, until something has happened.</summary>
    public static async Task<T> PassTimeAsync<T>(FakeTimeProvider time, Task<T> until)
    {
        await Eventually.TrueAsync(() =>
        {
            if (!until.IsCompleted) time.Advance(TimeSpan.FromMilliseconds(100));
            return until.IsCompleted;
        });
        return await until;
    }

    public ValueTask DisposeAsync() => _proxy.DisposeAsync();
}
