using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Millau.EchoService;

var options = Options.Read(args);
if (args.Contains("healthcheck"))
    return await Health.CheckAsync(options.Port);

var stopping = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
{
    context.Cancel = true;
    stopping.TrySetResult();
});
// A slow starter is `running` for Docker before its port is open.
await Task.WhenAny(Task.Delay(options.StartDelay), stopping.Task);

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(kestrel =>
{
    if (options.Address is { } address) kestrel.Listen(System.Net.IPAddress.Parse(address), options.Port);
    else kestrel.ListenAnyIP(options.Port);
    kestrel.Limits.MaxRequestBodySize = null;
    kestrel.Limits.MinRequestBodyDataRate = null;
});
builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(5));
await using var app = builder.Build();
app.UseWebSockets();
var endpoints = new Endpoints(options);
app.Run(endpoints.HandleAsync);
await app.StartAsync();
Console.WriteLine($"listening name={options.Name} id={endpoints.Id} port={options.Port}");

await stopping.Task;
await Task.Delay(options.StopDelay);
await app.StopAsync();
return 0;
