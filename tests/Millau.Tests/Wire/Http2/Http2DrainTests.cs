using Microsoft.Extensions.Time.Testing;

namespace Millau.Tests.Wire.Http2;

/// <summary>The end of a proxy, for clients with HTTP/2.</summary>
public class Http2DrainTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task A_client_is_told_with_its_next_request_and_its_streams_in_flight_finish()
    {
        var time = new FakeTimeProvider();
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var (first, upstream) = await OpenAsync(client, instance);

        var drain = proxy.Proxy.DrainAsync(TimeSpan.FromSeconds(30));
        // On its way before the client heard of it: it is served.
        var (second, other) = await OpenAsync(client, instance);
        await client.UntilAsync(() => client.GoAway is not null);
        Assert.Equal(Http2Error.NoError, client.GoAway);
        await other.SendAsync(Ok);
        Assert.Equal("ok", (await client.AnswerAsync(second)).Body);
        Assert.False(drain.IsCompleted);
        await upstream.SendAsync(Ok);

        Assert.Equal("ok", (await client.AnswerAsync(first)).Body);
        await client.UntilEndAsync();
        Assert.Equal(second, client.GoAwayStream);
        await TestProxy.PassTimeAsync(time, WithResultAsync(drain));
    }

    [Fact]
    public async Task An_idle_client_is_told_which_stream_was_the_last_and_loses_nothing()
    {
        var time = new FakeTimeProvider();
        await using var instance = ScriptedInstance.Answering(Ok);
        await using var proxy = await TestProxy.StartAsync(time, TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        Assert.Equal("ok", (await client.GetAsync()).Body);

        var drain = proxy.Proxy.DrainAsync(TimeSpan.FromSeconds(30));
        var ended = client.UntilEndAsync();
        await TestProxy.PassTimeAsync(time, WithResultAsync(Task.WhenAll(drain, ended)));

        Assert.Equal(Http2Error.NoError, client.GoAway);
        Assert.Equal(1, client.GoAwayStream);
    }

    private static async Task<(int Stream, ScriptedConnection Upstream)> OpenAsync(Http2Client client, ScriptedInstance instance)
    {
        var stream = await client.OpenAsync(Http2Client.Request(), end: true);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        return (stream, upstream);
    }

    private static async Task<bool> WithResultAsync(Task task)
    {
        await task;
        return true;
    }
}
