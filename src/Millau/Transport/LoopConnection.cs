using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Millau.Transport;

/// <summary>A client's connection as a pair of pipes, on an event loop. Owns its descriptor from the constructor on.</summary>
internal sealed class LoopConnection : ConnectionContext, IDuplexPipe, IHalfClose, IThreadPoolWorkItem
{
    private static long s_lastId = DateTime.UtcNow.Ticks;

    private readonly CancellationTokenSource _closed = new();
    private readonly ClientSocket _socket;
    private readonly LoopPipeReader _reader;
    private readonly LoopPipeWriter _writer;
    private IThreadPoolWorkItem? _service;
    private string? _id;
    private int _closing;
    private volatile bool _mayListenOn;

    /// <param name="descriptor">Connected, and does not block.</param>
    /// <param name="peer">The client's address; null if it is not known.</param>
    /// <param name="loop">Where it is served.</param>
    /// <param name="pool">Its buffers.</param>
    public LoopConnection(int descriptor, IPEndPoint? peer, EventLoop loop, MemoryPool<byte> pool)
    {
        _socket = new ClientSocket(descriptor, loop, this);
        _reader = new LoopPipeReader(_socket, pool);
        _writer = new LoopPipeWriter(_socket, pool);
        Transport = this;
        RemoteEndPoint = peer;
        ConnectionClosed = _closed.Token;
        Features.Set(this);
        Features.Set<IHalfClose>(this);
    }

    /// <summary>The loop that serves it; what is done for its requests had best be done there too.</summary>
    public EventLoop Loop => _socket.Loop;

    public override string ConnectionId
    {
        get => _id ??= Interlocked.Increment(ref s_lastId).ToString("X", CultureInfo.InvariantCulture);
        set => _id = value;
    }

    public override IFeatureCollection Features { get; } = new ConnectionFeatures();

    /// <summary>Asked of the kernel: few want to know. Null when it is closed.</summary>
    public override EndPoint? LocalEndPoint { get => field ?? _socket.LocalEndPoint; set; }

    public override IDictionary<object, object?> Items { get => field ??= new ConnectionItems(); set; }

    public override IDuplexPipe Transport { get; set; }

    public PipeReader Input => _reader;

    public PipeWriter Output => _writer;

    /// <summary>What the pipes are of; whoever uses it in their place is their one reader or writer then.</summary>
    public LoopSocket RawSocket => _socket;

    /// <summary>
    /// From now on a client that ends its side is not taken for gone: it may still listen, as one of a tunnel does. That it is
    /// there is then found out by sending.
    /// </summary>
    public void AllowHalfClose() => _mayListenOn = true;

    /// <summary>
    /// Begins to watch the socket, and has its service begin on the loop, once: when the kernel first tells of it, which it does at
    /// once, as there is room to send; or, if it is closed before, so that it finds that. Nothing is to be read or written earlier.
    /// </summary>
    public void Start(IThreadPoolWorkItem service)
    {
        _service = service;
        if (_socket.TryArmWrite()) _socket.Start();
        // Closed already, so that nothing will be told of it.
        else ThreadPool.UnsafeQueueUserWorkItem(service, preferLocal: false);
    }

    public void ShutdownSend() => _socket.ShutdownSend();

    public long SentBytes => _socket.SentBytes;

    /// <summary>Cuts the connection with a reset, so that what was sent does not look whole.</summary>
    public override void Abort(ConnectionAbortedException abortReason)
    {
        _reader.AbortReason ??= abortReason;
        _socket.Close(reset: true);
        SayClosed();
    }

    /// <summary>Ends the connection in order; what was flushed still arrives.</summary>
    public override ValueTask DisposeAsync()
    {
        _reader.Complete();
        _writer.Complete();
        _reader.AbortReason ??= new ConnectionAbortedException("The connection was closed.");
        _socket.Close(reset: false);
        // The service is over, so nobody of it waits to hear of the end, who would need another thread.
        if (Interlocked.Exchange(ref _closing, 1) == 0) _closed.Cancel();
        return default;
    }

    // Those who wait to hear of the end may do anything, and must not do it on the loop.
    void IThreadPoolWorkItem.Execute() => _closed.Cancel();

    private void SayClosed()
    {
        if (Interlocked.Exchange(ref _closing, 1) == 0) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private void OnWritable()
    {
        if (_service is not { } service)
        {
            _writer.OnWritable();
            return;
        }
        _service = null;
        service.Execute();
    }

    private sealed class ClientSocket(int number, EventLoop loop, LoopConnection owner) : LoopSocket(number, loop)
    {
        public IPEndPoint? LocalEndPoint
        {
            get
            {
                if (!TryHold(out var descriptor)) return null;
                var endPoint = NativeSocket.LocalEndPoint(descriptor);
                Release();
                return endPoint;
            }
        }

        protected override void OnReadable() => owner._reader.OnReadable();

        protected override void OnWritable() => owner.OnWritable();

        protected override void OnPeerEnded(bool wholly)
        {
            if (wholly || !owner._mayListenOn) owner.SayClosed();
        }
    }
}
