using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Tasks.Sources;
using Millau.Async;
using Millau.Memory;
using Millau.Tls;

namespace Millau.Upstreams;

/// <summary>
/// TLS over a <see cref="SocketStream"/>. What comes is decrypted into a buffer of its own and copied from there: so a
/// receive can be begun without a place for its bytes, and one that finds nothing at the moment goes on by itself.
/// </summary>
/// <remarks>
/// The end (RFC 8446 section 6.1): a connection that ends without <c>close_notify</c> has failed, for what was to come
/// may have been cut off by somebody else; that is -1, not 0.
/// </remarks>
internal sealed class TlsStream : UpstreamStream, IValueTaskSource<int>
{
    // The largest record's content (RFC 8446 section 5.1).
    private const int BufferSize = 16 * 1024;

    private readonly SocketStream _plain;
    private readonly TlsCarrier _carrier;
    private readonly SslStream _tls;
    private readonly UpstreamTls _options;
    private readonly Action _received;
    private readonly Action _onDecrypted;
    private readonly byte[] _buffer = BufferPool.Shared.Rent(BufferSize);
    private ManualResetValueTaskSourceCore<int> _decrypted;
    private ConfiguredValueTaskAwaitable<int>.ConfiguredValueTaskAwaiter _reading;
    private Memory<byte> _target;
    private string? _verdict;
    private int _start;
    private int _end;
    private bool _isReading;
    private bool _isSecure;
    private bool _isSending;
    private volatile bool _aborted;

    /// <param name="plain">Connected, with nothing under way on it; owned from now on.</param>
    /// <param name="options">How to speak TLS to the instance.</param>
    /// <param name="received">As <see cref="SocketStream.Create"/> says.</param>
    public TlsStream(SocketStream plain, UpstreamTls options, Action received)
    {
        _plain = plain;
        _options = options;
        _received = received;
        _onDecrypted = OnDecrypted;
        _carrier = new TlsCarrier(plain);
        _tls = new SslStream(_carrier, leaveInnerStreamOpen: true);
    }

    /// <summary>
    /// Why the instance refused our certificate, in words; null if it did not. In TLS 1.3 it judges that after the
    /// handshake, so its refusal comes when the first answer is waited for.
    /// </summary>
    public string? Refusal { get; private set; }

    public override bool IsReceived =>
        !_isReading || _start < _end || _decrypted.GetStatus(_decrypted.Version) != ValueTaskSourceStatus.Pending;

    public override ValueTask<int> Received => IsReceived ? ValueTask.FromResult(Take(_target.Span)) : TakeLaterAsync();

    /// <summary>Makes the TLS connection; null when it is made and the instance is who it should be, else why not.</summary>
    public async ValueTask<string?> HandshakeAsync()
    {
        try
        {
            await _tls.AuthenticateAsClientAsync(_options.ForHandshake(Judge)).ConfigureAwait(false);
            _isSecure = true;
            return null;
        }
        catch (Exception e) when (IsEnd(e))
        {
            return _verdict ?? "TLS handshake failed: " + TlsAlerts.Describe(e);
        }
    }

    public override void Receive(Memory<byte> buffer)
    {
        _target = buffer;
        if (_start == _end && !_isReading) Read();
    }

    public override int TryReceive(Span<byte> buffer)
    {
        if (_start == _end && !_isReading) Read();
        return IsReceived ? Take(buffer) : NothingYet;
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    public override async ValueTask<int> Send(ReadOnlyMemory<byte> bytes)
    {
        _isSending = true;
        try
        {
            await _tls.WriteAsync(bytes).ConfigureAwait(false);
            _isSending = false;
            return bytes.Length;
        }
        catch (Exception e) when (IsEnd(e))
        {
            // Half a record may be out: nothing can follow it, so the sending counts as under way for ever.
            return -1;
        }
    }

    /// <remarks>Small segments share records: each record costs 22 bytes and a call.</remarks>
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    public override async ValueTask<int> Send(IList<ArraySegment<byte>> segments)
    {
        var record = BufferPool.Shared.Rent(BufferSize);
        try
        {
            var (total, filled) = (0, 0);
            for (var i = 0; i < segments.Count; i++)
            {
                for (var left = segments[i]; left.Count > 0;)
                {
                    var count = Math.Min(left.Count, BufferSize - filled);
                    left[..count].CopyTo(record, filled);
                    left = left[count..];
                    filled += count;
                    total += count;
                    if (filled < BufferSize) continue;
                    if (await Send(record.AsMemory(0, filled)).ConfigureAwait(false) < 0) return -1;
                    filled = 0;
                }
            }
            return filled > 0 && await Send(record.AsMemory(0, filled)).ConfigureAwait(false) < 0 ? -1 : total;
        }
        finally
        {
            BufferPool.Shared.Return(record);
        }
    }

    public override void ShutdownSend()
    {
        SayEnd(_plain.ShutdownSend);
    }

    public override void Abort()
    {
        _aborted = true;
        _plain.Abort();
    }

    public override void Dispose()
    {
        SayEnd(null);
        // The buffer of a read that is still pending is left to the collector, as somebody may write to it yet.
        if (IsReceived) BufferPool.Shared.Return(_buffer);
        else BufferPool.Shared.Abandon(_buffer);
        _tls.Dispose();
        _plain.Dispose();
    }

    // RFC 8446 section 6.1: close_notify goes before the end. It is a few bytes, which the kernel takes at once or
    // never; an exchange that was cut gets none, so that the instance sees it cut.
    private void SayEnd(Action? then)
    {
        if (!_isSecure || _isSending || _aborted) return;
        _isSecure = false;
        _carrier.Shutdown(() =>
        {
            try
            {
                _ = _tls.ShutdownAsync();
                then?.Invoke();
            }
            catch (Exception e) when (IsEnd(e))
            {
                // Gone already.
            }
        });
    }

    private void Read()
    {
        _decrypted.Reset();
        _isReading = true;
        _start = _end = 0;
        _carrier.Enter();
        try
        {
            _reading = _tls.ReadAsync(_buffer).ConfigureAwait(false).GetAwaiter();
        }
        catch (Exception e) when (IsEnd(e))
        {
            _carrier.Leave();
            _decrypted.SetResult(-1);
            return;
        }
        if (_reading.IsCompleted) _decrypted.SetResult(Result());
        else _reading.UnsafeOnCompleted(_onDecrypted);
    }

    // On the socket's thread.
    private void OnDecrypted()
    {
        var result = Result();
        _received();
        _decrypted.SetResult(result);
    }

    private int Result()
    {
        _carrier.Leave();
        try
        {
            var count = _reading.GetResult();
            return count == 0 && _carrier.HasEnded ? -1 : count;
        }
        catch (Exception e) when (IsEnd(e))
        {
            if (!_aborted) Refusal = TlsAlerts.FindRefusal(e);
            return -1;
        }
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private async ValueTask<int> TakeLaterAsync()
    {
        await new ValueTask<int>(this, _decrypted.Version).ConfigureAwait(false);
        return Take(_target.Span);
    }

    // What was decrypted, as far as it fits; the end and failures stay what they are.
    private int Take(Span<byte> target)
    {
        if (_start == _end)
        {
            var result = _decrypted.GetResult(_decrypted.Version);
            if (result <= 0) return result;
            _isReading = false;
            _end = result;
        }
        var count = Math.Min(target.Length, _end - _start);
        _buffer.AsSpan(_start, count).CopyTo(target);
        _start += count;
        return count;
    }

    private bool Judge(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        _verdict = CertificateWords.Describe(certificate as X509Certificate2, chain, errors, _options.ServerName);
        return _verdict is null;
    }

    // Whatever fails in SslStream, its socket, or by their being closed meanwhile, ends the connection and nothing else.
    private static bool IsEnd(Exception e) =>
        e is IOException or AuthenticationException or ObjectDisposedException or InvalidOperationException
            or NotSupportedException or OperationCanceledException;

    int IValueTaskSource<int>.GetResult(short token) => _decrypted.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _decrypted.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _decrypted.OnCompleted(continuation, state, token, flags);
}
