using System.Collections.Immutable;
using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Millau.Ingress;

/// <summary>
/// One Kestrel server that gives its requests to an <see cref="IHttpApplication{TContext}"/>, without the ASP.NET
/// hosting and pipeline around it. Owns the server from start to dispose.
/// </summary>
internal sealed class KestrelHost : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly IServer _server;

    private KestrelHost(ServiceProvider services, IServer server)
    {
        _services = services;
        _server = server;
    }

    /// <summary>The addresses bound, with the port that the system chose where 0 was asked for.</summary>
    public ImmutableArray<IPEndPoint> EndPoints { get; private set; } = [];

    /// <summary>Starts listening; an address that cannot be bound is an <see cref="IOException"/>.</summary>
    /// <param name="application">Gets the requests.</param>
    /// <param name="logging">Used, not disposed.</param>
    /// <param name="server">Adds the listeners, which are IP addresses, and sets limits.</param>
    /// <param name="services">Replaces services of Kestrel's, such as its transport, where the defaults are not right.</param>
    /// <param name="cancellation">Gives up starting.</param>
    public static async Task<KestrelHost> StartAsync<TContext>(
        IHttpApplication<TContext> application,
        ILoggerFactory logging,
        Action<KestrelServerOptions> server,
        Action<IServiceCollection>? services = null,
        CancellationToken cancellation = default)
        where TContext : notnull
    {
        var builder = new ServerBuilder();
        builder.Services.AddSingleton(logging).AddLogging().AddOptions().AddMetrics();
        builder.Services.AddSingleton<DiagnosticSource>(new DiagnosticListener("Millau.Ingress"));
        builder.UseKestrelCore().ConfigureKestrel(server);
        services?.Invoke(builder.Services);

        var provider = builder.Services.BuildServiceProvider();
        try
        {
            var host = new KestrelHost(provider, provider.GetRequiredService<IServer>());
            await host._server.StartAsync(application, cancellation).ConfigureAwait(false);
            var addresses = host._server.Features.GetRequiredFeature<IServerAddressesFeature>().Addresses;
            host.EndPoints = [.. addresses.Select(ToEndPoint)];
            return host;
        }
        catch
        {
            await provider.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Stops accepting, tells clients, waits for the requests in flight up to <paramref name="grace"/> and cuts those
    /// that remain.
    /// </summary>
    public async Task StopAsync(TimeSpan grace)
    {
        using var deadline = new CancellationTokenSource(grace);
        await _server.StopAsync(deadline.Token).ConfigureAwait(false);
    }

    /// <summary>Cuts what is still open.</summary>
    public ValueTask DisposeAsync() => _services.DisposeAsync();

    private static IPEndPoint ToEndPoint(string address)
    {
        var uri = new Uri(address);
        return new IPEndPoint(IPAddress.Parse(uri.IdnHost), uri.Port);
    }

    /// <summary>What Kestrel's own registration wants to see: a place for its services, and no more.</summary>
    private sealed class ServerBuilder : IWebHostBuilder
    {
        private readonly WebHostBuilderContext _context = new() { Configuration = new ConfigurationManager() };

        public ServiceCollection Services { get; } = [];

        public IWebHostBuilder ConfigureServices(Action<IServiceCollection> configureServices)
        {
            configureServices(Services);
            return this;
        }

        public IWebHostBuilder ConfigureServices(Action<WebHostBuilderContext, IServiceCollection> configureServices)
        {
            configureServices(_context, Services);
            return this;
        }

        public IWebHostBuilder ConfigureAppConfiguration(
            Action<WebHostBuilderContext, IConfigurationBuilder> configureDelegate) => this;

        public string? GetSetting(string key) => null;

        public IWebHostBuilder UseSetting(string key, string? value) => this;

#pragma warning disable ASPDEPR008 // The interface cannot be implemented without naming it.
        public IWebHost Build() => throw new NotSupportedException("the server is started directly");
#pragma warning restore ASPDEPR008
    }
}
