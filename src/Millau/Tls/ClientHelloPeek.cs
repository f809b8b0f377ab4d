using System.Buffers;
using System.Buffers.Binary;
using Microsoft.AspNetCore.Connections;

namespace Millau.Tls;

/// <summary>
/// Looks into the first bytes of a connection before the handshake consumes them: which protocols a client offers is not
/// told by .NET until the certificate is chosen, and an ACME challenge decides by it. Only while there is a challenge.
/// </summary>
internal sealed class ClientHelloPeek(AlpnChallenges challenges, TimeProvider time, ConnectionDelegate next)
{
    private const int RecordHeader = 5, MostRecordBytes = 16 * 1024;

    /// <summary>How long a handshake may take: as the head of a request, for a machine that is busy with other handshakes.</summary>
    public static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(30);

    public Task OnConnectionAsync(ConnectionContext connection) =>
        challenges.IsEmpty ? next(connection) : PeekAsync(connection);

    private async Task PeekAsync(ConnectionContext connection)
    {
        var input = connection.Transport.Input;
        using var deadline = new CancellationTokenSource(HandshakeTimeout, time);
        try
        {
            while (true)
            {
                var read = await input.ReadAsync(deadline.Token).ConfigureAwait(false);
                var missing = Missing(read.Buffer);
                if (missing == 0 && OffersAcmeTls(read.Buffer.ToArray())) connection.Features.Set(AcmeTlsOffer.Instance);
                // Consumed is nothing: the handshake is to see all of it.
                var whole = missing <= 0 || read.IsCompleted;
                input.AdvanceTo(read.Buffer.Start, whole ? read.Buffer.Start : read.Buffer.End);
                if (whole) break;
            }
        }
        catch (OperationCanceledException)
        {
            connection.Abort(new ConnectionAbortedException("no TLS handshake in time"));
            return;
        }
        await next(connection).ConfigureAwait(false);
    }

    /// <summary>Whether a ClientHello (RFC 8446 section 4.1.2), in one record, offers the protocol. False if it is broken.</summary>
    public static bool OffersAcmeTls(ReadOnlySpan<byte> record)
    {
        var reader = new Reader(record);
        reader.Skip(RecordHeader + 4 + 2 + 32); // record, handshake, version, random
        reader.Skip(reader.Byte()); // session
        reader.Skip(reader.UInt16()); // cipher suites
        reader.Skip(reader.Byte()); // compression
        var extensions = new Reader(reader.Take(reader.UInt16()));
        while (!extensions.IsEmpty)
        {
            var type = extensions.UInt16();
            var extension = new Reader(extensions.Take(extensions.UInt16()));
            if (type != 16) continue;
            var names = new Reader(extension.Take(extension.UInt16()));
            while (!names.IsEmpty)
            {
                if (names.Take(names.Byte()).SequenceEqual(AlpnChallenges.Protocol.Protocol.Span)) return true;
            }
        }
        return false;
    }

    // Bytes that are missing of the first record; below 0 if it is no TLS handshake, or too long to be one.
    private static int Missing(ReadOnlySequence<byte> buffer)
    {
        Span<byte> header = stackalloc byte[RecordHeader];
        if (buffer.Length < RecordHeader) return RecordHeader - (int)buffer.Length;
        buffer.Slice(0, RecordHeader).CopyTo(header);
        var length = BinaryPrimitives.ReadUInt16BigEndian(header[3..]);
        if (header[0] != 22 || length > MostRecordBytes) return -1;
        return (int)Math.Max(0, RecordHeader + length - buffer.Length);
    }

    /// <summary>Reads lengths and what they announce; past the end all is empty, so that broken input ends the loops.</summary>
    private ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        private ReadOnlySpan<byte> _rest = bytes;

        public readonly bool IsEmpty => _rest.IsEmpty;

        public ReadOnlySpan<byte> Take(int count)
        {
            var taken = _rest[..Math.Min(count, _rest.Length)];
            _rest = _rest[taken.Length..];
            return taken;
        }

        public void Skip(int count) => Take(count);

        public int Byte() => Take(1) is [var b] ? b : 0;

        public int UInt16() => Take(2) is [var high, var low] ? (high << 8) | low : 0;
    }
}
