using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging.Abstractions;
using Millau.Ingress;

namespace Millau.Tests.Ingress;

public class KestrelHostTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task Port_0_gives_a_bound_port_that_answers()
    {
        await using var host = await StartAsync(new Echo());

        Assert.NotEqual(0, Assert.Single(host.EndPoints).Port);
        using var client = new HttpClient();
        Assert.Equal("/hello?x=%2F", await client.GetStringAsync($"http://{host.EndPoints[0]}/hello?x=%2F"));
    }

    [Fact]
    public async Task IPv6_addresses_are_reported_too()
    {
        if (!Socket.OSSupportsIPv6)
            Assert.Skip("no IPv6 here");
        await using var host = await KestrelHost.StartAsync(
            new Echo(), NullLoggerFactory.Instance, o => o.Listen(IPAddress.IPv6Loopback, 0));

        Assert.Equal(IPAddress.IPv6Loopback, Assert.Single(host.EndPoints).Address);
    }

    [Fact]
    public async Task A_taken_port_is_an_IOException()
    {
        await using var first = await StartAsync(new Echo());

        var error = await Assert.ThrowsAsync<IOException>(() => KestrelHost.StartAsync(
            new Echo(), NullLoggerFactory.Instance, o => o.Listen(first.EndPoints[0])));
        Assert.IsType<AddressInUseException>(error.InnerException);
    }

    [Fact]
    public async Task Stopping_lets_a_request_in_flight_finish()
    {
        var echo = new Echo { Gate = new TaskCompletionSource() };
        await using var host = await StartAsync(echo);
        using var client = new HttpClient();
        var answer = client.GetStringAsync($"http://{host.EndPoints[0]}/slow");
        await echo.Entered.Task.WaitAsync(Patience);

        var stop = host.StopAsync(Patience);
        Assert.False(stop.IsCompleted);
        echo.Gate.SetResult();

        Assert.Equal("/slow", await answer.WaitAsync(Patience));
        await stop.WaitAsync(Patience);
    }

    [Fact]
    public async Task Stopping_cuts_a_request_that_outlasts_the_grace()
    {
        var echo = new Echo { Gate = new TaskCompletionSource() };
        await using var host = await StartAsync(echo);
        using var client = new HttpClient();
        var answer = client.GetStringAsync($"http://{host.EndPoints[0]}/slow");
        await echo.Entered.Task.WaitAsync(Patience);

        var stop = host.StopAsync(TimeSpan.FromMilliseconds(50));

        await Assert.ThrowsAsync<HttpRequestException>(() => answer.WaitAsync(Patience));
        echo.Gate.SetResult();
        await stop.WaitAsync(Patience);
    }

    private static Task<KestrelHost> StartAsync(Echo echo) =>
        KestrelHost.StartAsync(echo, NullLoggerFactory.Instance, o => o.Listen(IPAddress.Loopback, 0));

    /// <summary>Answers with the raw target, once its gate is open.</summary>
    private sealed class Echo : IHttpApplication<IFeatureCollection>
    {
        public TaskCompletionSource? Gate { get; init; }

        public TaskCompletionSource Entered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public IFeatureCollection CreateContext(IFeatureCollection contextFeatures) => contextFeatures;

        public async Task ProcessRequestAsync(IFeatureCollection context)
        {
            Entered.TrySetResult();
            if (Gate is not null)
                await Gate.Task;
            var body = context.GetRequiredFeature<IHttpResponseBodyFeature>();
            await body.Stream.WriteAsync(
                System.Text.Encoding.ASCII.GetBytes(context.GetRequiredFeature<IHttpRequestFeature>().RawTarget));
        }

        public void DisposeContext(IFeatureCollection context, Exception? exception)
        {
        }
    }
}
