using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Time.Testing;
using Millau.Ingress;
using Millau.Ingress.Http2;
using Millau.Tests.Wire;
using Millau.Tests.Wire.Http2;

namespace Millau.Tests.Ingress.Http2;

/// <summary>A frame that the server sent.</summary>
internal sealed record Received(byte Type, byte Flags, int Stream, byte[] Payload)
{
    public bool Ends => Type is Http2Frame.Data or Http2Frame.Headers && (Flags & Http2Frame.EndStream) != 0;

    /// <summary>Of RST_STREAM and WINDOW_UPDATE.</summary>
    public uint Number => BinaryPrimitives.ReadUInt32BigEndian(Payload);

    /// <summary>Of GOAWAY.</summary>
    public (int Last, uint Reason) GoAway =>
        (BinaryPrimitives.ReadInt32BigEndian(Payload), BinaryPrimitives.ReadUInt32BigEndian(Payload.AsSpan(4)));

    public string Status => HeaderBlockReader.Read(Payload).Single(f => f.Name == ":status").Value;
}

/// <summary>
/// The client of an HTTP/2 connection without a network between: the server does all that it does on the thread of the test, while
/// that sends, so that nothing has to be waited for.
/// </summary>
internal sealed class Http2Peer : IAsyncDisposable, IRequestHandler
{
    private static readonly PipeOptions Inline = new(
        readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline, pauseWriterThreshold: 0, useSynchronizationContext: false);

    private readonly Pipe _toServer = new(Inline);
    private readonly Pipe _toClient = new(Inline);
    private readonly MemoryConnection _connection;
    private readonly ServerClock _clock;

    /// <param name="handle">Answers the requests.</param>
    /// <param name="window">SETTINGS_INITIAL_WINDOW_SIZE of this side.</param>
    /// <param name="limits">What it may take.</param>
    public Http2Peer(Func<Exchange, ValueTask> handle, uint window = 65535, ClientLimits? limits = null)
    {
        Handle = handle;
        Writer = new CountingWriter(_toClient.Writer);
        _connection = new MemoryConnection(_toServer.Reader, Writer);
        _clock = new ServerClock(Time, now => Server?.Tick(now));
        Server = new Http2Connection(_connection, new HttpService(this, limits ?? new ClientLimits(), _clock, Log));
        Running = Server.RunAsync();
        Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray(), Settings((Http2Setting.HeaderTableSize, 0), (Http2Setting.InitialWindowSize, window)));
        Receive();
    }

    public Func<Exchange, ValueTask> Handle { get; set; }

    public FakeTimeProvider Time { get; } = new();

    public RecordedLog Log { get; } = new();

    public Http2Connection Server { get; }

    public Task Running { get; }

    public CountingWriter Writer { get; }

    /// <summary>The server has cut the connection.</summary>
    public bool IsCut => _connection.IsCut;

    public static byte[] Settings(params (ushort Id, uint Value)[] settings)
    {
        var payload = new byte[6 * settings.Length];
        for (var i = 0; i < settings.Length; i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(payload.AsSpan(6 * i), settings[i].Id);
            BinaryPrimitives.WriteUInt32BigEndian(payload.AsSpan(6 * i + 2), settings[i].Value);
        }
        return Http2Frame.Make(Http2Frame.Settings, 0, 0, payload);
    }

    public static byte[] Head(int stream, HeaderBlock? block = null, bool end = true) => Http2Frame.Make(
        Http2Frame.Headers, (byte)(Http2Frame.EndHeaders | (end ? Http2Frame.EndStream : 0)), stream,
        (block ?? Http2Client.Request()).ToArray());

    public static byte[] Data(int stream, int length, bool end = false) =>
        Http2Frame.Make(Http2Frame.Data, end ? Http2Frame.EndStream : (byte)0, stream, new byte[length]);

    public static byte[] Grant(int stream, uint bytes) => Http2Frame.Make(Http2Frame.WindowUpdate, 0, stream, Big(bytes));

    public static byte[] Reset(int stream) => Http2Frame.Make(Http2Frame.ResetStream, 0, stream, Big(8));

    /// <summary>Sends frames in one piece.</summary>
    public void Send(params byte[][] frames)
    {
        foreach (var frame in frames) _toServer.Writer.Write(frame);
        var flush = _toServer.Writer.FlushAsync();
        Assert.True(flush.IsCompleted);
    }

    /// <summary>The client is gone.</summary>
    public void HangUp() => _toServer.Writer.Complete();

    /// <summary>What has come since the last call.</summary>
    public List<Received> Receive()
    {
        var frames = new List<Received>();
        while (_toClient.Reader.TryRead(out var read))
        {
            var rest = read.Buffer;
            while (rest.Length >= Http2Frame.HeadLength)
            {
                var head = rest.Slice(0, Http2Frame.HeadLength).ToArray();
                var length = (head[0] << 16) | (head[1] << 8) | head[2];
                if (rest.Length < Http2Frame.HeadLength + length) break;
                frames.Add(new Received(
                    head[3], head[4], BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5)), rest.Slice(Http2Frame.HeadLength, length).ToArray()));
                rest = rest.Slice(Http2Frame.HeadLength + length);
            }
            _toClient.Reader.AdvanceTo(rest.Start, rest.End);
            if (read.IsCompleted) break;
        }
        return frames;
    }

    /// <summary>Lets seconds pass, one by one.</summary>
    public void Pass(int seconds)
    {
        for (var i = 0; i < seconds; i++) Time.Advance(TimeSpan.FromSeconds(1));
    }

    public ValueTask HandleAsync(Exchange exchange) => Handle(exchange);

    public async ValueTask DisposeAsync()
    {
        HangUp();
        Writer.LetGo();
        await Running.WaitAsync(ScriptedConnection.Deadline);
        _clock.Dispose();
    }

    /// <summary>A whole answer.</summary>
    public static ValueTask Answer(Exchange exchange, string body = "ok")
    {
        exchange.BeginHead(200);
        exchange.EndHead(body.Length, hasBody: true);
        exchange.Write(System.Text.Encoding.Latin1.GetBytes(body));
        exchange.EndBody(null);
        return default;
    }

    private static byte[] Big(uint value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }

    private sealed class MemoryConnection : ConnectionContext, IDuplexPipe
    {
        public MemoryConnection(PipeReader input, PipeWriter output)
        {
            Input = input;
            Output = output;
            Transport = this;
            Features.Set(new TlsDetails(SslProtocols.Tls13, "a.test"));
        }

        public bool IsCut { get; private set; }

        public PipeReader Input { get; }

        public PipeWriter Output { get; }

        public override IDuplexPipe Transport { get; set; }

        public override string ConnectionId { get; set; } = "";

        public override IFeatureCollection Features { get; } = new FeatureCollection();

        public override IDictionary<object, object?> Items { get; set; } = new Dictionary<object, object?>();

        public override void Abort(ConnectionAbortedException abortReason)
        {
            IsCut = true;
            ((CountingWriter)Output).LetGo();
            Input.CancelPendingRead();
        }
    }
}

/// <summary>What handlers wait at; they go on in turn, on the thread that opens it.</summary>
internal sealed class Gate : INotifyCompletion
{
    private readonly Queue<Action> _waiting = new();

    public bool IsCompleted { get; private set; }

    public Gate GetAwaiter() => this;

    public void OnCompleted(Action continuation) => _waiting.Enqueue(continuation);

    public void GetResult()
    {
        // It has none.
    }

    public void Open()
    {
        IsCompleted = true;
        while (_waiting.TryDequeue(out var continuation)) continuation();
    }
}

/// <summary>Counts the flushes, and holds one up as a client does that does not read.</summary>
internal sealed class CountingWriter(PipeWriter inner) : PipeWriter, IValueTaskSource<FlushResult>
{
    private ManualResetValueTaskSourceCore<FlushResult> _source;
    private bool _hold;
    private bool _held;

    public int Flushes { get; private set; }

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => inner.UnflushedBytes;

    /// <summary>The next flush is not over until <see cref="LetGo"/>.</summary>
    public void Hold() => _hold = true;

    public void LetGo()
    {
        _hold = false;
        if (!_held) return;
        _held = false;
        _source.SetResult(default);
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        Flushes++;
        var flush = inner.FlushAsync(cancellationToken);
        Assert.True(flush.IsCompleted);
        _held = _hold;
        _hold = false;
        if (!_held) return new(default(FlushResult));
        _source.Reset();
        return new ValueTask<FlushResult>(this, _source.Version);
    }

    public override Memory<byte> GetMemory(int sizeHint = 0) => inner.GetMemory(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => inner.GetSpan(sizeHint);

    public override void Advance(int bytes) => inner.Advance(bytes);

    public override void CancelPendingFlush() => inner.CancelPendingFlush();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    FlushResult IValueTaskSource<FlushResult>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<FlushResult>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<FlushResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}
