using System.Buffers;
using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Millau.Tls;

namespace Millau.Ingress;

/// <summary>
/// Puts TLS on connections: the handshake, as <see cref="TlsHandshake"/> decides, and then plain bytes for what comes behind. The
/// protocol agreed on is a feature, <see cref="TlsDetails"/> another.
/// </summary>
internal sealed class TlsConnections(TlsHandshake handshake, MemoryPool<byte> pool, TimeProvider time, ILogger logger)
{
    private static readonly ConnectionAbortedException Ended = new("The connection is over.");

    /// <summary>Whether the client chose HTTP/2.</summary>
    public static bool IsHttp2(ConnectionContext connection) => connection.Features.Get<NegotiatedHttp2>() is not null;

    public ConnectionDelegate Attach(ConnectionDelegate next) => connection => ServeAsync(connection, next);

    private async Task ServeAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var carrier = connection.Transport;
        var records = new RecordStream(carrier);
        var stream = new SslStream(records);
        await using var closing = stream.ConfigureAwait(false);
        if (!await ShakeHandsAsync(connection, stream, records).ConfigureAwait(false)) return;
        // It serves nothing but the handshake (RFC 8737 section 3).
        if (stream.NegotiatedApplicationProtocol == AlpnChallenges.Protocol) return;
        connection.Features.Set(new TlsDetails(stream.SslProtocol, stream.TargetHostName));
        if (stream.NegotiatedApplicationProtocol == SslApplicationProtocol.Http2) connection.Features.Set(NegotiatedHttp2.Instance);
        var input = new TlsPipeReader(stream, records, carrier.Input, pool);
        var output = new TlsPipeWriter(stream, carrier.Output, pool);
        connection.Transport = new Duplex(input, output);
        try
        {
            await next(connection).ConfigureAwait(false);
            output.Complete();
            // RFC 8446 section 6.1: said before the end, so that nobody takes a cut for it. Whoever closes the connection sends it.
            await stream.ShutdownAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or ObjectDisposedException or ConnectionAbortedException)
        {
            // The client has gone.
        }
        finally
        {
            // With a reason nothing is written any more, and its buffers are given back.
            output.Complete(Ended);
            input.Complete();
            connection.Transport = carrier;
        }
    }

    private async ValueTask<bool> ShakeHandsAsync(ConnectionContext connection, SslStream stream, RecordStream records)
    {
        using var deadline = new CancellationTokenSource(ClientHelloPeek.HandshakeTimeout, time);
        try
        {
            await stream.AuthenticateAsServerAsync(
                static (_, hello, state, cancellation) =>
                {
                    var (chooser, connection) = ((TlsHandshake, ConnectionContext))state!;
                    return chooser.ChooseAsync(hello.ServerName, connection, cancellation);
                },
                (handshake, connection), deadline.Token).ConfigureAwait(false);
            await records.EndHandshakeAsync(deadline.Token).ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (e is IOException or AuthenticationException or OperationCanceledException or InvalidOperationException
            or CryptographicException)
        {
            Log.HandshakeFailed(logger, connection.RemoteEndPoint, e.InnerException?.Message ?? e.Message);
            return false;
        }
    }

    private sealed class NegotiatedHttp2
    {
        public static readonly NegotiatedHttp2 Instance = new();
    }

    private sealed class Duplex(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;
        public PipeWriter Output => output;
    }
}
