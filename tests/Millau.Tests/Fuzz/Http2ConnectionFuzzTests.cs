using System.Text;
using Millau.Http1;
using Millau.Http2;
using Millau.Ingress;
using Millau.Ingress.Http2;
using Millau.Tests.Http2;
using Millau.Tests.Ingress.Http2;
using Millau.Tests.Wire.Http2;

namespace Millau.Tests.Fuzz;

/// <summary>The server of HTTP/2: what it takes for a request, and whole connections.</summary>
public class Http2ConnectionFuzzTests
{
    [Fact]
    public void Requests() => Fuzzer.Run(
        new[]
        {
            Http2Client.Request(), Http2Client.Request("POST", "/a?b").Add("content-length", "5").Add("te", "trailers").Add("cookie", "a=b"),
            Http2Client.Request().Add("host", "b.test").AddToTable("x-a", "b").AddIndexed(HeaderBlock.Newest),
            Http2Client.Request("CONNECT", "/ws").Add(":protocol", "websocket").Add("sec-websocket-version", "13"),
            new HeaderBlock().AddIndexed(2).AddIndexed(7).AddIndexed(4).Add("host", "a.test").Add("expect", "100-continue"),
        }.Select(block => Encoding.Latin1.GetString(block.ToArray())),
        static (bytes, random) =>
        {
            var fields = new RequestFields();
            var block = new HpackDecoder().Read(bytes);
            var verdict = new Http2HeadReader(fields, secure: true, "GET", "/").Read(ref block, out var head);
            if (verdict == HeadVerdict.Good)
            {
                Assert.True(HttpChars.IsToken(head.Method) && head.Target.Length > 0 && head.ContentLength >= -1);
                foreach (var field in fields.All)
                {
                    Assert.True(HttpChars.IsToken(field.Name(fields.Bytes)));
                    Assert.True(HttpChars.IsFieldValue(field.Value(fields.Bytes)));
                }
            }
            fields.Release();
        });

    [Fact]
    public void Connections() => Fuzzer.Run(
        new byte[][][]
        {
            [Http2Peer.Head(1), Http2Peer.Grant(0, 100), Http2Peer.Head(3), Http2Peer.Reset(3), Http2Peer.Head(5)],
            [Http2Peer.Head(1, Http2Client.Request("POST"), end: false), Http2Peer.Data(1, 9), Http2Peer.Grant(1, 5), Http2Peer.Data(1, 3, end: true)],
            [
                Http2Peer.Head(1, Http2Client.Request("POST").Add("content-length", "5"), end: false), Http2Peer.Data(1, 5),
                Http2Peer.Head(1, new HeaderBlock().AddToTable("x-a", "b")), Http2Peer.Head(3, Http2Client.Request().AddIndexed(HeaderBlock.Newest)),
            ],
            [
                Http2Frame.Make(Http2Frame.Headers, Http2Frame.EndStream, 1, Http2Client.Request().ToArray()),
                Http2Frame.Make(Http2Frame.Continuation, Http2Frame.EndHeaders, 1, []), Http2Frame.Make(Http2Frame.Ping, 0, 0, new byte[8]),
                Http2Peer.Settings((Http2Setting.InitialWindowSize, 3)), Http2Frame.Make(Http2Frame.Priority, 0, 1, [0, 0, 0, 0, 1]),
                Http2Frame.Make(Http2Frame.Data, 8, 1, [2, 0, 0, 0]), Http2Frame.Make(Http2Frame.GoAway, 0, 0, new byte[8]),
            ],
        }.Select(frames => Encoding.Latin1.GetString([.. frames.SelectMany(f => f)])),
        static (bytes, random) =>
        {
            var peer = new Http2Peer(EchoAsync, window: (uint)random.Next(20));
            var pieces = random.Next(2) == 0 ? [bytes] : Fuzzer.Cut(bytes, random);
            foreach (var piece in pieces) peer.Send(piece.ToArray());
            peer.Pass(random.Next(8));
            // What it sends can be read, to the last head.
            foreach (var frame in peer.Receive())
                if (frame is { Type: Http2Frame.Headers, Flags: var flags } && (flags & Http2Frame.EndHeaders) != 0) HeaderBlockReader.Read(frame.Payload);
            // It ends when the client has gone, whatever was under way.
            peer.DisposeAsync().AsTask().GetAwaiter().GetResult();
            Assert.Equal(0, peer.Log.Count("connection failed"));
        });

    private static async ValueTask EchoAsync(Exchange exchange)
    {
        exchange.BeginHead(200);
        exchange.EndHead(-1, hasBody: true, trailers: true);
        while (exchange.HasBody)
        {
            var read = await exchange.Body.ReadAsync();
            foreach (var piece in read.Buffer) exchange.Write(piece.Span);
            exchange.Body.AdvanceTo(read.Buffer.End);
            if (!await exchange.FlushAsync() || read.IsCompleted) break;
        }
        exchange.EndBody([("x-end", "1")]);
    }
}
