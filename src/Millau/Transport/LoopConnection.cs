using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Millau.Transport;

/// <summary>A client's connection as a pair of pipes, on an event loop. Owns the socket from the constructor on.</summary>
internal sealed class LoopConnection : ConnectionContext, IDuplexPipe, IConnectionSocketFeature, IThreadPoolWorkItem
{
    private static long s_lastId = DateTime.UtcNow.Ticks;

    private readonly CancellationTokenSource _closed = new();
    private readonly ClientSocket _socket;
    private readonly LoopPipeReader _reader;
    private readonly LoopPipeWriter _writer;
    private string? _id;
    private int _closing;
    private volatile bool _mayListenOn;

    public LoopConnection(Socket socket, EventLoop loop, MemoryPool<byte> pool)
    {
        Socket = socket;
        _socket = new ClientSocket(socket, loop, this);
        _reader = new LoopPipeReader(_socket, pool);
        _writer = new LoopPipeWriter(_socket, pool);
        Transport = this;
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;
        ConnectionClosed = _closed.Token;
        // This, its socket, the listener and the server; with TLS two or three more.
        Features = new FeatureCollection(initialCapacity: 7);
        Features.Set(this);
        Features.Set<IConnectionSocketFeature>(this);
    }

    public Socket Socket { get; }

    /// <summary>The loop that serves it; what is done for its requests had best be done there too.</summary>
    public EventLoop Loop => _socket.Loop;

    public override string ConnectionId
    {
        get => _id ??= Interlocked.Increment(ref s_lastId).ToString("X", CultureInfo.InvariantCulture);
        set => _id = value;
    }

    public override IFeatureCollection Features { get; }

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

    /// <summary>Begins to watch the socket. False if the kernel refuses; the connection is closed then.</summary>
    public bool Start() => _socket.Start();

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
        SayClosed();
        return default;
    }

    // Those who wait to hear of the end may do anything, and must not do it on the loop.
    void IThreadPoolWorkItem.Execute() => _closed.Cancel();

    private void SayClosed()
    {
        if (Interlocked.Exchange(ref _closing, 1) == 0) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private sealed class ClientSocket(Socket socket, EventLoop loop, LoopConnection owner) : LoopSocket(socket, loop)
    {
        protected override void OnReadable() => owner._reader.OnReadable();

        protected override void OnWritable() => owner._writer.OnWritable();

        protected override void OnPeerEnded(bool wholly)
        {
            if (wholly || !owner._mayListenOn) owner.SayClosed();
        }
    }
}
