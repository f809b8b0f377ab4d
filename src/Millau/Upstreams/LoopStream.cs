using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks.Sources;
using Millau.Transport;

namespace Millau.Upstreams;

/// <summary>A connection without TLS on an event loop: it asks the kernel only when there is something to be had.</summary>
/// <remarks>Results come on the loop's thread, unless they are there at once.</remarks>
internal sealed class LoopStream : SocketStream
{
    private readonly Link _link;
    private readonly Action? _received;
    private readonly Receiving _receiving;
    private readonly Sending _sending;

    /// <param name="family">IPv4 or IPv6.</param>
    /// <param name="loop">Where its results come; that of the client it is for.</param>
    /// <param name="received">As <see cref="SocketStream.Create"/> says.</param>
    /// <exception cref="SocketException">No descriptor is left.</exception>
    public LoopStream(AddressFamily family, EventLoop loop, Action? received)
    {
        _received = received;
        var error = NativeSocket.Create(family, out var descriptor);
        if (error != SocketError.Success) throw new SocketException((int)error);
        _link = new Link(descriptor, loop, this);
        _receiving = new Receiving(_link);
        _sending = new Sending(_link);
    }

    /// <summary>The socket, for who takes from it or sends to it directly, and is its one user in that direction then.</summary>
    public LoopSocket Socket => _link;

    public override bool IsReceived => _receiving.IsDone;

    public override ValueTask<int> Received => _receiving.Result;

    public override async ValueTask<SocketError> ConnectAsync(EndPoint endPoint)
    {
        var error = _link.Connect(endPoint);
        if (error == SocketError.InProgress)
        {
            if (!_link.Start()) return SocketError.TooManyOpenSockets;
            await _sending.WaitAsync().ConfigureAwait(false);
            error = _link.TakeError();
        }
        else if (error == SocketError.Success && !_link.Start())
        {
            error = SocketError.TooManyOpenSockets;
        }
        return error == SocketError.Success ? _link.SetOptions() : error;
    }

    public override void Receive(Memory<byte> buffer) => _receiving.Begin(buffer);

    public override int TryReceive(Span<byte> buffer)
    {
        if (!_link.MayReceive) return NothingYet;
        var received = _link.Receive(buffer);
        return received >= 0 ? received : received == LoopSocket.WouldBlock ? NothingYet : -1;
    }

    public override ValueTask<int> Send(ReadOnlyMemory<byte> bytes) => _sending.Send(bytes);

    public override ValueTask<int> Send(IList<ArraySegment<byte>> segments) => _sending.Send(segments);

    public override void ShutdownSend() => _link.ShutdownSend();

    public override void Abort() => _link.Close(reset: false);

    public override void Dispose() => _link.Close(reset: false);

    private sealed class Link(int number, EventLoop loop, LoopStream owner) : LoopSocket(number, loop)
    {
        /// <summary>Begins to connect. The socket must not be watched yet: unconnected, it would look hung up.</summary>
        public SocketError Connect(EndPoint endPoint)
        {
            if (!TryHold(out var descriptor)) return SocketError.OperationAborted;
            var error = NativeSocket.Connect(descriptor, endPoint);
            Release();
            return error;
        }

        /// <summary>What came of connecting.</summary>
        public SocketError TakeError()
        {
            if (!TryHold(out var descriptor)) return SocketError.OperationAborted;
            var error = NativeSocket.TakeError(descriptor);
            Release();
            return error;
        }

        public SocketError SetOptions()
        {
            if (!TryHold(out var descriptor)) return SocketError.OperationAborted;
            // An error is that it was reset meanwhile.
            var error = NativeSocket.KeepAlive(descriptor, Silence, Interval, Tries);
            Release();
            return error;
        }

        protected override void OnReadable()
        {
            if (!owner._receiving.Try()) return;
            owner._received?.Invoke();
            owner._receiving.Finish();
        }

        protected override void OnWritable() => owner._sending.GoOn();
    }

    /// <summary>One receive at a time; it may be begun while nobody awaits it.</summary>
    private sealed class Receiving(LoopSocket socket) : IValueTaskSource<int>
    {
        private ManualResetValueTaskSourceCore<int> _source;
        private Memory<byte> _target;
        private int _result;

        public bool IsDone => _source.GetStatus(_source.Version) != ValueTaskSourceStatus.Pending;

        public ValueTask<int> Result => new(this, _source.Version);

        public void Begin(Memory<byte> target)
        {
            _source.Reset();
            _target = target;
            // What is not worth a try waits for the loop.
            if (!socket.MayReceive && socket.TryArmRead()) return;
            if (Try()) Finish();
        }

        // False when it waits for the loop, and then is not to be touched any more.
        public bool Try()
        {
            do
            {
                _result = socket.Receive(_target.Span);
                if (_result == LoopSocket.WouldBlock) continue;
                if (_result < 0) _result = -1;
                return true;
            }
            while (!socket.TryArmRead());
            return false;
        }

        public void Finish()
        {
            _target = default;
            _source.SetResult(_result);
        }

        int IValueTaskSource<int>.GetResult(short token) => _source.GetResult(token);

        ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _source.GetStatus(token);

        void IValueTaskSource<int>.OnCompleted(
            Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _source.OnCompleted(continuation, state, token, flags);
    }

    /// <summary>One send at a time, to its end.</summary>
    private sealed class Sending(LoopSocket socket) : IValueTaskSource<int>
    {
        private ManualResetValueTaskSourceCore<int> _source;
        private ReadOnlyMemory<byte> _bytes;
        private IList<ArraySegment<byte>>? _segments;
        private int _segment;
        private int _offset;
        private int _sent;
        private bool _onlyWaits;

        public ValueTask<int> Send(ReadOnlyMemory<byte> bytes)
        {
            var sent = socket.Send(bytes.Span);
            if (sent == bytes.Length) return new(sent);
            if (sent < 0 && sent != LoopSocket.WouldBlock) return new(-1);
            _bytes = bytes;
            _segments = null;
            _offset = _sent = Math.Max(sent, 0);
            return RunAsync();
        }

        public ValueTask<int> Send(IList<ArraySegment<byte>> segments)
        {
            _segments = segments;
            _segment = _offset = _sent = 0;
            return RunAsync();
        }

        /// <summary>Waits until the socket says that it can be written to, or has failed.</summary>
        public ValueTask<int> WaitAsync()
        {
            _source.Reset();
            _onlyWaits = true;
            if (!socket.TryArmWrite()) GoOn();
            return new(this, _source.Version);
        }

        /// <summary>Called by the loop.</summary>
        public void GoOn()
        {
            if (_onlyWaits)
            {
                _onlyWaits = false;
                _source.SetResult(0);
                return;
            }
            while (true)
            {
                if (TrySendAll() is { } result)
                {
                    _segments = null;
                    _bytes = default;
                    _source.SetResult(result);
                    return;
                }
                if (socket.TryArmWrite()) return;
            }
        }

        private ValueTask<int> RunAsync()
        {
            _source.Reset();
            GoOn();
            return new(this, _source.Version);
        }

        // Null when the kernel has no room at the moment.
        private int? TrySendAll()
        {
            while (true)
            {
                int sent;
                if (_segments is null)
                {
                    if (_offset == _bytes.Length) return _sent;
                    sent = socket.Send(_bytes.Span[_offset..]);
                }
                else
                {
                    while (_segment < _segments.Count && _offset == _segments[_segment].Count) (_segment, _offset) = (_segment + 1, 0);
                    if (_segment == _segments.Count) return _sent;
                    sent = socket.Send(_segments, _segment, _offset);
                }
                if (sent == LoopSocket.WouldBlock) return null;
                if (sent < 0) return -1;
                _sent += sent;
                Advance(sent);
            }
        }

        private void Advance(int sent)
        {
            if (_segments is null)
            {
                _offset += sent;
                return;
            }
            while (sent > 0)
            {
                var left = _segments[_segment].Count - _offset;
                if (sent < left)
                {
                    _offset += sent;
                    return;
                }
                sent -= left;
                _segment++;
                _offset = 0;
            }
        }

        int IValueTaskSource<int>.GetResult(short token) => _source.GetResult(token);

        ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _source.GetStatus(token);

        void IValueTaskSource<int>.OnCompleted(
            Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _source.OnCompleted(continuation, state, token, flags);
    }
}
