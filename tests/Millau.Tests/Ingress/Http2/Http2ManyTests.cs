using System.Buffers;
using Millau.Ingress;
using Millau.Tests.Wire;
using Millau.Tests.Wire.Http2;
using static Millau.Tests.Ingress.Http2.Http2Peer;

namespace Millau.Tests.Ingress.Http2;

/// <summary>Many streams whose handlers are on other threads than the reading, while clients reset some of them at any moment.</summary>
public class Http2ManyTests
{
    private const int Streams = 1600;
    private const int MostOpen = 50;

    [Fact]
    public async Task Streams_on_many_threads_and_resets_at_any_moment_leave_every_other_answer_whole()
    {
        var mixedUp = 0;
        await using var peer = new Http2Peer(
            async exchange =>
            {
                if (exchange.IsGone || exchange.HasStarted || exchange.Fields.Count == 0) Interlocked.Increment(ref mixedUp);
                await Task.Yield();
                if (exchange.HasBody) await EchoAsync(exchange);
                else await Answer(exchange, exchange.Target);
            },
            window: 1 << 20);
        var bodies = new Dictionary<int, List<byte>>();
        var whole = new HashSet<int>();
        var waiting = new HashSet<int>();

        for (var i = 0; i < Streams; i++)
        {
            var stream = 2 * i + 1;
            if (i % 4 is 0 or 1) peer.Send(Head(stream, Http2Client.Request(path: $"/{stream}")));
            else peer.Send(Head(stream, Http2Client.Request("POST", $"/{stream}"), end: false), Body(stream, end: false));
            if (i % 4 == 2) peer.Send(Body(stream, end: true));
            if (i % 4 is 1 or 3) peer.Send(Reset(stream));
            else waiting.Add(stream);
            await Eventually.TrueAsync(() =>
            {
                Take();
                return waiting.Count < MostOpen;
            });
        }
        await Eventually.TrueAsync(() =>
        {
            Take();
            return waiting.Count == 0;
        });

        for (var i = 0; i < Streams; i++)
        {
            var stream = 2 * i + 1;
            if (i % 4 == 0) Assert.Equal($"/{stream}", System.Text.Encoding.ASCII.GetString([.. bodies[stream]]));
            if (i % 4 == 2) Assert.Equal(Bytes(stream).Concat(Bytes(stream)), bodies[stream]);
        }
        Assert.Equal(0, mixedUp);
        Assert.Equal(0, peer.Log.Count("."));

        void Take()
        {
            var received = 0u;
            foreach (var frame in peer.Receive())
            {
                Assert.NotEqual(Http2Frame.GoAway, frame.Type);
                if (frame.Stream == 0) continue;
                Assert.False(whole.Contains(frame.Stream) && frame.Type is Http2Frame.Data or Http2Frame.Headers, "more behind the end");
                if (frame.Type == Http2Frame.Data)
                {
                    received += (uint)frame.Payload.Length;
                    if (!bodies.TryGetValue(frame.Stream, out var body)) bodies.Add(frame.Stream, body = []);
                    body.AddRange(frame.Payload);
                }
                if (!frame.Ends) continue;
                whole.Add(frame.Stream);
                waiting.Remove(frame.Stream);
            }
            if (received > 0) peer.Send(Grant(0, received));
        }
    }

    // Another one for each stream, so that what is another's is seen.
    private static byte[] Bytes(int stream) => [.. Enumerable.Range(0, 3000).Select(i => (byte)(i * 7 + stream))];

    private static byte[] Body(int stream, bool end) =>
        Http2Frame.Make(Http2Frame.Data, end ? Http2Frame.EndStream : (byte)0, stream, Bytes(stream));

    private static async Task EchoAsync(Exchange exchange)
    {
        exchange.BeginHead(200);
        exchange.EndHead(-1, hasBody: true);
        while (true)
        {
            var read = await exchange.Body.ReadAsync().ConfigureAwait(false);
            foreach (var piece in read.Buffer) exchange.Write(piece.Span);
            exchange.Body.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) break;
            if (!await exchange.FlushAsync().ConfigureAwait(false)) return;
        }
    }
}
