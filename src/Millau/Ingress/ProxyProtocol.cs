using System.Buffers;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Millau.Forwarding;
using Millau.Http1;

namespace Millau.Ingress;

/// <summary>
/// Reads the header of the PROXY protocol from connections of trusted peers, before TLS and HTTP, and makes its source the
/// connection's. From them a connection without one is refused. From anybody else the header is no protocol that this port speaks,
/// and is refused as such.
/// </summary>
internal sealed class ProxyProtocol(TrustedProxies trusted, TimeSpan timeout, TimeProvider time, ILogger logger)
{
    public ConnectionDelegate Attach(ConnectionDelegate next) => connection =>
        trusted.Contains((connection.RemoteEndPoint as IPEndPoint)?.Address) ? ReadAsync(connection, next) : next(connection);

    private async Task ReadAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        if (await ReadHeaderAsync(connection).ConfigureAwait(false) is not { } header)
        {
            Log.BadProxyHeader(logger, connection.RemoteEndPoint);
            connection.Abort(new ConnectionAbortedException("no header of the PROXY protocol"));
            return;
        }
        if (header.Source is { } source) connection.RemoteEndPoint = source;
        await next(connection).ConfigureAwait(false);
    }

    private async ValueTask<ProxyHeader?> ReadHeaderAsync(ConnectionContext connection)
    {
        var input = connection.Transport.Input;
        using var deadline = new CancellationTokenSource(timeout, time);
        try
        {
            while (true)
            {
                var read = await input.ReadAsync(deadline.Token).ConfigureAwait(false);
                var buffer = read.Buffer;
                var status = Parse(buffer, out var header);
                if (status == ParseStatus.Complete)
                {
                    input.AdvanceTo(buffer.GetPosition(header.Length));
                    return header;
                }
                input.AdvanceTo(buffer.Start, buffer.End);
                if (status == ParseStatus.Invalid || read.IsCompleted) return null;
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            return null;
        }
    }

    private static ParseStatus Parse(ReadOnlySequence<byte> buffer, out ProxyHeader header)
    {
        if (buffer.IsSingleSegment) return ProxyHeader.Parse(buffer.FirstSpan, out header);
        var start = buffer.Slice(0, Math.Min(buffer.Length, ProxyHeader.MaxLength));
        return ProxyHeader.Parse(start.ToArray(), out header);
    }
}
