using System.Buffers;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Millau.Memory;

namespace Millau.Ingress;

/// <summary>
/// What the streams of an HTTP/2 connection may take. One client may have a hundred of them, so what is little for a
/// connection is much for a stream.
/// </summary>
internal sealed class Http2Streams : IMemoryPoolFeature
{
    // As large as a frame. A stream that has sent or received one byte holds a block each way: a hundred of them hold 3 MiB
    // of these, and would hold 13 MiB of those that connections have.
    private const int BlockSize = 16 * 1024;

    // What clients may send ahead of instances that do not take it yet. It bounds the memory of a connection, and with the way's
    // round-trip time the rate of an upload: 512 KiB in 50 ms are 80 Mbit/s.
    private const int ConnectionWindow = 768 * 1024;
    private const int StreamWindow = 512 * 1024;

    /// <summary>The buffers of all streams.</summary>
    public MemoryPool<byte> MemoryPool { get; } = new BlockMemoryPool(BlockSize, BufferLedger.Shared);

    public static void Limit(Http2Limits limits)
    {
        limits.InitialConnectionWindowSize = ConnectionWindow;
        limits.InitialStreamWindowSize = StreamWindow;
        // A client that vanished with a stream open, as one that waits for events, is noticed, and its instance's connection with
        // it. An idle connection ends by the usual timeout.
        limits.KeepAlivePingDelay = TimeSpan.FromSeconds(60);
        limits.KeepAlivePingTimeout = TimeSpan.FromSeconds(20);
    }

    /// <summary>Gives HTTP/2 connections the buffers for their streams. Behind TLS, where the protocol is known.</summary>
    public ConnectionDelegate Attach(ConnectionDelegate next) => connection =>
    {
        if (connection.Features.Get<ITlsApplicationProtocolFeature>() is { } tls && tls.ApplicationProtocol.Span.SequenceEqual("h2"u8))
            connection.Features.Set<IMemoryPoolFeature>(this);
        return next(connection);
    };
}
