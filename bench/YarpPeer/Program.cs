// YARP as a peer of the bench: direct forwarding, which is its fastest form. Usage: yarp-peer PORT ORIGIN-PORT
using System.Diagnostics;
using System.Net;
using Millau.Bench.YarpPeer;
using Yarp.ReverseProxy.Forwarder;

var port = int.Parse(args[0]);
var origin = $"http://127.0.0.1:{int.Parse(args[1])}/";

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.Listen(IPAddress.Loopback, port);
    kestrel.Limits.MaxRequestBodySize = null;
});
builder.Services.AddHttpForwarder();

await using var app = builder.Build();
var forwarder = app.Services.GetRequiredService<IHttpForwarder>();
using var client = new HttpMessageInvoker(new SocketsHttpHandler
{
    UseProxy = false,
    AllowAutoRedirect = false,
    AutomaticDecompression = DecompressionMethods.None,
    UseCookies = false,
    EnableMultipleHttp2Connections = true,
    ActivityHeadersPropagator = new ReverseProxyPropagator(DistributedContextPropagator.Current),
    ConnectTimeout = TimeSpan.FromSeconds(5),
});
var requestConfig = new ForwarderRequestConfig { ActivityTimeout = TimeSpan.FromSeconds(60) };
var transformer = new ForwardedHeaders();
app.Run(async context => await forwarder.SendAsync(context, origin, client, requestConfig, transformer));
await app.RunAsync();
