using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Millau.Demo;

/// <summary>
/// What a container would run, in this process: says who it is, then what reached it, as whoami does.
/// </summary>
internal sealed class DemoInstance : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _ended;

    private DemoInstance(WebApplication app, IPAddress address)
    {
        _app = app;
        Address = address;
        Port = new Uri(app.Urls.First()).Port;
    }

    public IPAddress Address { get; }

    public int Port { get; }

    /// <summary>Starts listening; an address that is in use is an <see cref="IOException"/>.</summary>
    /// <param name="name">The task's name.</param>
    /// <param name="greeting">The first line of each answer.</param>
    /// <param name="address">Of the loopback network.</param>
    /// <param name="port">0 for one that the system chooses.</param>
    public static async Task<DemoInstance> StartAsync(string name, string greeting, IPAddress address, int port)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(address, port);
        });
        var app = builder.Build();
        app.Run(context => AnswerAsync(context, name, greeting));
        try
        {
            await app.StartAsync();
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }

        return new DemoInstance(app, address);
    }

    /// <summary>Ends as a process does that is told to: requests under way finish.</summary>
    public Task StopAsync() => EndAsync(CancellationToken.None);

    /// <summary>Ends as a process does that is killed: connections break, and the port refuses.</summary>
    public Task KillAsync() => EndAsync(new CancellationToken(canceled: true));

    public ValueTask DisposeAsync() => new(KillAsync());

    private async Task EndAsync(CancellationToken patience)
    {
        if (Interlocked.Exchange(ref _ended, 1) != 0)
            return;
        await _app.StopAsync(patience);
        await _app.DisposeAsync();
    }

    private static Task AnswerAsync(HttpContext context, string name, string greeting)
    {
        var request = context.Request;
        var text = new StringBuilder()
            .AppendLine(greeting)
            .AppendLine($"instance: {name}")
            .AppendLine()
            .AppendLine($"{request.Method} {request.Path.ToUriComponent()}{request.QueryString} {request.Protocol}");
        foreach (var (field, values) in request.Headers)
        {
            foreach (var value in values)
                text.AppendLine($"{field}: {value}");
        }

        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(text.ToString(), context.RequestAborted);
    }
}
