using System.Globalization;
using Microsoft.Extensions.Logging;
using Millau.Logging;

namespace Millau.Demo;

/// <summary>
/// A Swarm of stand-ins, Millau before it, and visitors that never stop. Owns all of them; commands change the Swarm.
/// </summary>
internal sealed class DemoRun : IAsyncDisposable
{
    public const string Help =
        "commands: scale SERVICE N, kill SERVICE, update SERVICE, engine stop, engine start, tour, help, quit";

    private const int MostReplicas = 20;

    /// <summary>After a change, for the visitors to meet it.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    private readonly EngineStandIn _engine;
    private readonly DemoSwarm _swarm;
    private readonly ILoggerFactory _logging;
    private readonly DemoMillau _millau;
    private readonly Visitors _visitors;
    private readonly Screen _screen;

    private DemoRun(
        EngineStandIn engine, DemoSwarm swarm, ILoggerFactory logging, DemoMillau millau, Visitors visitors, Screen screen)
    {
        _engine = engine;
        _swarm = swarm;
        _logging = logging;
        _millau = millau;
        _visitors = visitors;
        _screen = screen;
    }

    /// <summary>Millau's.</summary>
    public int Port => _millau.Port;

    /// <summary>Starts everything and says what there is to try.</summary>
    public static async Task<DemoRun> StartAsync(Screen screen)
    {
        screen.Title($"{Product.Title}, before a stand-in of a Swarm: no Docker is needed, all ports are free ones");
        screen.Line();
        var engine = await EngineStandIn.StartAsync();
        var swarm = new DemoSwarm(engine);
        await swarm.DeployAsync("whoami", 3, "whoami", ("millau.hosts", "localhost whoami.local"));
        await swarm.DeployAsync("blue", 1, "blue", ("millau.hosts", "company.com blue.local"), ("millau.path", "/api/"));
        await swarm.DeployAsync("green", 1, "green", ("millau.hosts", "company.com green.local"), ("millau.path", "/api/"));
        await swarm.DeployAsync("shop", 1, "Welcome to the shop", ("millau.hosts", "shop.company.com"));
        await swarm.DeployAsync("maintenance", 1, "We will be back soon", ("millau.hosts", "company.com"));
        var logging = LineLoggerProvider.CreateFactory(LogLevel.Information, LogFormat.Text, screen.Log(), TimeProvider.System);
        var millau = await DemoMillau.StartAsync(engine.DockerHost, logging);
        // Not by localhost: each host takes its own turns, so these do not mix with those of whoever tries curl.
        var visitors = new Visitors(millau.Port, ("whoami.local", "/"), ("company.com", "/api/"), ("shop.company.com", "/"));
        var run = new DemoRun(engine, swarm, logging, millau, visitors, screen);
        run.Introduce();
        return run;
    }

    /// <summary>Does what a line says, and shows what came of it. Never fails over what is wrong in the line.</summary>
    public async Task ExecuteAsync(string line)
    {
        var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        switch (words)
        {
            case []:
                return;
            case ["help"]:
                Introduce();
                return;
            case ["engine", "stop"]:
                await ShowAsync("whoami.local", _engine.StopAsync);
                return;
            case ["engine", "start"]:
                await ShowAsync("whoami.local", StartEngineAsync);
                return;
            case ["scale", var service, var count] when IsService(service)
                    && int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var replicas)
                    && replicas <= MostReplicas:
                await ShowAsync(PageOf(service), () => _swarm.ScaleAsync(service, replicas));
                return;
            case ["kill", var service] when IsService(service):
                await ShowAsync(PageOf(service), () => KillAsync(service));
                return;
            case ["update", var service] when IsService(service):
                await ShowAsync(PageOf(service), () => _swarm.UpdateAsync(service));
                return;
            default:
                _screen.Line($"  not understood: {line}");
                _screen.Line($"  {Help}; services: {string.Join(", ", _swarm.Names)}; N from 0 to {MostReplicas}");
                return;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _screen.IsLogShown = false;
        await _visitors.DisposeAsync();
        await _millau.DisposeAsync();
        await _swarm.DisposeAsync();
        await _engine.DisposeAsync();
        _logging.Dispose();
    }

    private void Introduce()
    {
        _screen.Line();
        _screen.Title("Try in another terminal:");
        Curl("", Port, "/", "whoami: three instances in turn");
        Curl("-H 'Host: company.com' ", Port, "/api/", "blue or green, whose turn it is");
        Curl("-H 'Host: green.local' ", Port, "/api/", "green");
        Curl("-H 'Host: shop.company.com' ", Port, "/", "the shop; while it is scaled to 0: company.com's page");
        Curl("-i -H 'Host: nobody.local' ", Port, "/", "502 No matching services found");
        Curl("", _millau.TelemetryPort, "/", "up: Millau's health");
        _screen.Line();
        _screen.Line(Help + "; Ctrl-C ends");
    }

    private void Curl(string options, int port, string path, string note) =>
        _screen.Line($"  {$"curl {options}localhost:{port}{path}",-58} # {note}");

    private bool IsService(string name) => _swarm.Names.Contains(name);

    private static string PageOf(string service) => service switch
    {
        "whoami" => "whoami.local",
        "blue" or "green" => "company.com",
        _ => "shop.company.com",
    };

    private async Task StartEngineAsync()
    {
        await _engine.StopAsync();
        await _engine.RestartAsync();
    }

    private async Task KillAsync(string service)
    {
        if (await _swarm.KillAsync(service) is null)
            _screen.Line($"  {service} has no instance to kill");
    }

    /// <summary>Changes something, and says what those who visited a page meanwhile saw of it.</summary>
    private async Task ShowAsync(string page, Func<Task> change)
    {
        _visitors.Take(page);
        await change();
        await Task.Delay(Look);
        _screen.Visitors(_visitors.Take(page));
    }
}
