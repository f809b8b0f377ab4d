using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Text;

namespace Millau.Tests.Wire.Http2;

/// <summary>
/// An HTTP/2 client of which a test decides every frame. It answers SETTINGS and PING by itself, and gives back windows
/// unless told not to; it reads only while a test waits for something. Text is Latin-1.
/// </summary>
internal sealed class Http2Client : IAsyncDisposable
{
    private readonly ScriptedConnection _connection;
    private readonly Dictionary<int, Http2Answer> _answers = [];
    private readonly List<byte> _block = [];
    private readonly Dictionary<int, long> _granted = [];
    private bool _ended;
    private int _next = 1;

    private Http2Client(ScriptedConnection connection) => _connection = connection;

    public ScriptedConnection Connection => _connection;

    /// <summary>What is received is granted again at once. False: the test grants.</summary>
    public bool GivesBackWindows { get; set; } = true;

    /// <summary>The server's settings, by identifier.</summary>
    public Dictionary<ushort, uint> Settings { get; } = [];

    /// <summary>The error code of the GOAWAY that came last, or null.</summary>
    public uint? GoAway { get; private set; }

    /// <summary>The last stream that it names.</summary>
    public int GoAwayStream { get; private set; }

    /// <summary>The server has closed the connection.</summary>
    public bool IsEnded => _ended;

    /// <summary>How many bytes the server allows in a stream, or in the connection as stream 0, from its beginning on.</summary>
    public long Granted(int stream) =>
        _granted.GetValueOrDefault(stream) + (stream == 0 ? 65535 : Settings.GetValueOrDefault(Http2Setting.InitialWindowSize, 65535u));

    /// <summary>What has come for a stream.</summary>
    public Http2Answer this[int stream]
    {
        get
        {
            if (!_answers.TryGetValue(stream, out var answer)) _answers.Add(stream, answer = new Http2Answer());
            return answer;
        }
    }

    /// <summary>Connects with TLS and ALPN h2, and sends the preface.</summary>
    /// <param name="endPoint">The proxy's, for TLS.</param>
    /// <param name="window">The initial window of each stream.</param>
    /// <param name="options">For the handshake; null for one that names <c>a.test</c>.</param>
    public static async Task<Http2Client> ConnectAsync(EndPoint endPoint, uint window = 65535, SslClientAuthenticationOptions? options = null)
    {
        options ??= new() { TargetHost = "a.test" };
        options.ApplicationProtocols = [SslApplicationProtocol.Http2];
        var connection = await ScriptedConnection.ConnectTlsAsync(endPoint, options);
        Assert.Equal(SslApplicationProtocol.Http2, connection.Tls!.NegotiatedApplicationProtocol);
        var client = new Http2Client(connection);
        await connection.SendAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        var settings = new byte[12];
        BinaryPrimitives.WriteUInt16BigEndian(settings, Http2Setting.HeaderTableSize);
        BinaryPrimitives.WriteUInt16BigEndian(settings.AsSpan(6), Http2Setting.InitialWindowSize);
        BinaryPrimitives.WriteUInt32BigEndian(settings.AsSpan(8), window);
        await client.SendFrameAsync(Http2Frame.Settings, 0, 0, settings);
        await client.UntilAsync(() => client.Settings.Count > 0);
        return client;
    }

    public Task SendFrameAsync(byte type, byte flags, int stream, ReadOnlyMemory<byte> payload) =>
        _connection.SendAsync(Http2Frame.Make(type, flags, stream, payload.Span));

    /// <summary>The fields that every request has.</summary>
    public static HeaderBlock Request(string method = "GET", string path = "/", string authority = "a.test") =>
        new HeaderBlock().Add(":method", method).Add(":scheme", "https").Add(":path", path).Add(":authority", authority);

    /// <summary>Opens the next stream with a header block; returns its number.</summary>
    public async Task<int> OpenAsync(HeaderBlock block, bool end)
    {
        var stream = _next;
        _next += 2;
        await SendHeadersAsync(stream, block, end);
        return stream;
    }

    public Task SendHeadersAsync(int stream, HeaderBlock block, bool end) =>
        SendFrameAsync(
            Http2Frame.Headers, (byte)(Http2Frame.EndHeaders | (end ? Http2Frame.EndStream : 0)), stream, block.ToArray());

    public Task SendDataAsync(int stream, string data, bool end = false) => SendDataAsync(stream, Encoding.Latin1.GetBytes(data), end);

    public Task SendDataAsync(int stream, ReadOnlyMemory<byte> data, bool end = false) =>
        SendFrameAsync(Http2Frame.Data, end ? Http2Frame.EndStream : (byte)0, stream, data);

    /// <summary>RST_STREAM, with CANCEL unless another code is given.</summary>
    public Task ResetAsync(int stream, uint code = 8) => SendFrameAsync(Http2Frame.ResetStream, 0, stream, Big(code));

    public Task GrantAsync(int stream, uint bytes) => SendFrameAsync(Http2Frame.WindowUpdate, 0, stream, Big(bytes));

    /// <summary>A request without a body, and all of its answer.</summary>
    public async Task<Http2Answer> GetAsync(HeaderBlock? block = null) => await AnswerAsync(await OpenAsync(block ?? Request(), end: true));

    /// <summary>Reads until a stream has ended, one way or the other.</summary>
    public async Task<Http2Answer> AnswerAsync(int stream)
    {
        await UntilAsync(() => this[stream].IsOver);
        return this[stream];
    }

    /// <summary>Reads frames until something is so. The end of the connection is no failure if it is so then.</summary>
    public async Task UntilAsync(Func<bool> condition)
    {
        while (!condition())
        {
            if (await ReadFrameAsync()) continue;
            Assert.True(condition(), $"the connection ended, GOAWAY {GoAway?.ToString() ?? "none"}");
            return;
        }
    }

    /// <summary>Reads until the server closes the connection.</summary>
    public Task UntilEndAsync() => UntilAsync(() => _ended);

    /// <summary>Whatever was sent before this was read by the server, as a PING is answered in turn.</summary>
    public async Task PingAsync()
    {
        var before = Pongs;
        await SendFrameAsync(Http2Frame.Ping, 0, 0, new byte[8]);
        await UntilAsync(() => Pongs > before);
    }

    /// <summary>Answers to PING.</summary>
    public int Pongs { get; private set; }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private async Task<bool> ReadFrameAsync()
    {
        var head = Encoding.Latin1.GetBytes(await _connection.ReadAsync(Http2Frame.HeadLength));
        if (head.Length < Http2Frame.HeadLength)
        {
            _ended = true;
            return false;
        }
        var length = (head[0] << 16) | (head[1] << 8) | head[2];
        var payload = Encoding.Latin1.GetBytes(await _connection.ReadAsync(length));
        if (payload.Length < length)
        {
            _ended = true;
            return false;
        }
        await TakeAsync(head[3], head[4], BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5)) & int.MaxValue, payload);
        return true;
    }

    private async Task TakeAsync(byte type, byte flags, int stream, byte[] payload)
    {
        switch (type)
        {
            case Http2Frame.Data:
                this[stream].AddData(payload, (flags & Http2Frame.EndStream) != 0);
                if (!GivesBackWindows || payload.Length == 0) break;
                await GrantAsync(0, (uint)payload.Length);
                if (!this[stream].IsOver) await GrantAsync(stream, (uint)payload.Length);
                break;
            case Http2Frame.Headers or Http2Frame.Continuation:
                _block.AddRange(payload);
                if (type == Http2Frame.Headers && (flags & Http2Frame.EndStream) != 0) this[stream].EndsWithBlock = true;
                if ((flags & Http2Frame.EndHeaders) == 0) break;
                this[stream].AddFields(HeaderBlockReader.Read([.. _block]));
                _block.Clear();
                break;
            case Http2Frame.ResetStream:
                this[stream].ResetCode = BinaryPrimitives.ReadUInt32BigEndian(payload);
                break;
            case Http2Frame.Settings when (flags & Http2Frame.Ack) == 0:
                for (var i = 0; i < payload.Length; i += 6)
                    Settings[BinaryPrimitives.ReadUInt16BigEndian(payload.AsSpan(i))] =
                        BinaryPrimitives.ReadUInt32BigEndian(payload.AsSpan(i + 2));
                await SendFrameAsync(Http2Frame.Settings, Http2Frame.Ack, 0, default);
                break;
            case Http2Frame.Ping when (flags & Http2Frame.Ack) == 0:
                await SendFrameAsync(Http2Frame.Ping, Http2Frame.Ack, 0, payload);
                break;
            case Http2Frame.Ping:
                Pongs++;
                break;
            case Http2Frame.WindowUpdate:
                _granted[stream] = _granted.GetValueOrDefault(stream) + BinaryPrimitives.ReadUInt32BigEndian(payload);
                break;
            case Http2Frame.GoAway:
                GoAwayStream = BinaryPrimitives.ReadInt32BigEndian(payload);
                GoAway = BinaryPrimitives.ReadUInt32BigEndian(payload.AsSpan(4));
                break;
        }
    }

    private static byte[] Big(uint value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }
}
