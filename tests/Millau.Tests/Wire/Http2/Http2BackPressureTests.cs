using System.Diagnostics;
using System.Text;
using Millau.Ingress;

namespace Millau.Tests.Wire.Http2;

/// <summary>
/// Whoever does not take stops whoever sends: not once but each time, for a stream as for the connection. Meanwhile the proxy holds
/// no more than it says, and in the end all has arrived.
/// </summary>
public class Http2BackPressureTests
{
    // Of an answer: more than all windows together. Of an upload: twice what the kernel takes for an instance that does not read, and more.
    private const int AnswerLength = 3 << 20, UploadLength = 12 << 20;

    // What the proxy may have taken of an answer beyond what its client has got.
    private const long MostOfAnswer = 256 * 1024;

    // Its window for a stream: what a client may have under way to an instance that does not take it.
    private const long StreamWindow = 512 * 1024;

    // A busy machine is slow, which is not the client's fault here.
    private static readonly ClientRules Patient = new() { Limits = new ClientLimits { Reader = TimeSpan.FromMinutes(5) } };

    private static readonly byte[] Bytes = [.. Enumerable.Range(0, UploadLength).Select(i => (byte)('a' + ((i >> 16) + i % 251) % 23))];

    [Fact]
    public async Task A_client_that_shuts_its_windows_again_and_again_stops_the_instance_each_time_and_gets_all()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(Patient, TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        client.GivesBackWindows = false;
        var stream = await client.OpenAsync(Http2Client.Request(), end: true);
        var upstream = await instance.AcceptAsync();
        await upstream.ReadHeadAsync();
        await upstream.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {AnswerLength}\r\n\r\n");
        var sent = 0L;
        var sending = SendAllAsync();

        var allowed = 65535;
        await AssertShutAsync();
        // The connection alone, then the stream alone: not enough, and enough until it is shut again.
        await client.GrantAsync(0, 1 << 20);
        await AssertShutAsync();
        await client.GrantAsync(stream, 300_000);
        allowed += 300_000;
        await AssertShutAsync();
        // Now it is the connection that is shut, for all streams.
        await client.GrantAsync(stream, AnswerLength);
        allowed = 65535 + (1 << 20);
        await AssertShutAsync();
        var other = await client.OpenAsync(Http2Client.Request(path: "/other"), end: true);
        var second = await instance.AcceptAsync();
        await second.ReadHeadAsync();
        await second.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        await client.UntilAsync(() => client[other].Status == 200);
        await AssertShutAsync();
        await client.GrantAsync(0, 300_000);
        allowed += 300_000;
        await AssertShutAsync();
        await client.GrantAsync(0, 2 * AnswerLength);

        Assert.Equal("ok", (await client.AnswerAsync(other)).Body);
        var answer = await client.AnswerAsync(stream);
        await sending;
        Assert.True(answer.IsWhole);
        Assert.True(Bytes.AsSpan(0, AnswerLength).SequenceEqual(Encoding.Latin1.GetBytes(answer.Body)));

        async Task SendAllAsync()
        {
            const int piece = 64 * 1024;
            for (var at = 0; at < AnswerLength; at += piece)
            {
                await upstream.SendAsync(Bytes.AsMemory(at, piece));
                Interlocked.Add(ref sent, piece);
            }
        }

        async Task AssertShutAsync()
        {
            await client.UntilAsync(() => client[stream].BodyLength + client[3].BodyLength >= allowed);
            var taken = await SettledAsync(() => Interlocked.Read(ref sent) - KernelQueues.UnderWay(upstream.Socket, bySocket: true));
            await client.PingAsync();
            Assert.Equal(allowed, client[stream].BodyLength + client[3].BodyLength);
            Assert.True(taken - allowed <= MostOfAnswer, $"{taken - allowed} bytes were taken for a client that takes none");
        }
    }

    [Fact]
    public async Task An_instance_that_stops_reading_again_and_again_stops_its_client_each_time_and_gets_all()
    {
        await using var instance = new ScriptedInstance();
        await using var proxy = await TestProxy.StartAsync(Patient, TestProxy.Service(instance.EndPoint));
        await using var client = await Http2Client.ConnectAsync(proxy.TlsEndPoint);
        var stream = await client.OpenAsync(Http2Client.Request("POST").Add("content-length", $"{UploadLength}"), end: false);
        var upstream = await instance.AcceptAsync();
        // Else the kernel takes more each time.
        upstream.Socket.ReceiveBufferSize = 128 * 1024;
        await upstream.ReadHeadAsync();
        int sent = 0, received = 0;

        for (var round = 1; round <= 2; round++)
        {
            await SendWhatIsAllowedAsync();
            Assert.InRange(sent, received + 1, UploadLength - 1);
            var held = await SettledAsync(() => sent - received - KernelQueues.UnderWay(upstream.Socket, bySocket: false));
            Assert.True(held <= StreamWindow, $"{held} bytes are held for an instance that does not read");
            // Others on the connection are served meanwhile.
            var other = await client.OpenAsync(Http2Client.Request(path: "/other"), end: true);
            var second = await instance.AcceptAsync();
            await second.ReadHeadAsync();
            await second.SendAsync("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
            await second.DisposeAsync();
            Assert.Equal("ok", (await client.AnswerAsync(other)).Body);
            await ReceiveAsync(sent);
        }
        var receiving = ReceiveAsync(UploadLength);
        while (!receiving.IsCompleted) await SendWhatIsAllowedAsync();
        await receiving;
        await upstream.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

        Assert.Equal("ok", (await client.AnswerAsync(stream)).Body);

        // Until all is sent, or nothing more is allowed for a while.
        async Task SendWhatIsAllowedAsync()
        {
            for (var quiet = 0; quiet < 20 && sent < UploadLength;)
            {
                var allowed = Math.Min(client.Granted(stream), client.Granted(0)) - sent;
                if (allowed > 0)
                {
                    var piece = (int)Math.Min(Math.Min(allowed, 16384), UploadLength - sent);
                    await client.SendDataAsync(stream, Bytes.AsMemory(sent, piece), end: sent + piece == UploadLength);
                    sent += piece;
                    quiet = 0;
                    continue;
                }
                if (quiet++ > 0) await Task.Delay(TimeSpan.FromMilliseconds(10));
                // What was granted until now is known then.
                await client.PingAsync();
            }
        }

        async Task ReceiveAsync(int to)
        {
            while (received < to)
            {
                var piece = Encoding.Latin1.GetBytes(await upstream.ReadAsync(Math.Min(64 * 1024, to - received)));
                Assert.NotEmpty(piece);
                Assert.True(Bytes.AsSpan(received, piece.Length).SequenceEqual(piece), $"other bytes behind {received}");
                received += piece.Length;
            }
        }
    }

    // A number once it is the same for a while. Whoever is too slow for that makes it smaller than it will be, not larger.
    private static async Task<long> SettledAsync(Func<long> number)
    {
        var last = number();
        var started = Stopwatch.GetTimestamp();
        for (var same = 0; same < 10 && Stopwatch.GetElapsedTime(started) < ScriptedConnection.Deadline;)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(30));
            var now = number();
            same = now == last ? same + 1 : 0;
            last = now;
        }
        return last;
    }
}
