using System.Buffers;
using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Authentication;
using Millau.Async;
using Millau.Ingress;
using Millau.Memory;
using Millau.Tests.Tls;
using Millau.Tests.Wire;

namespace Millau.Tests.Ingress;

/// <summary>
/// A server's pipes of TLS and a client, with two pipes in place of a connection: what the client says can be held back, and given to the
/// server byte by byte.
/// </summary>
internal sealed class TlsPair : IDuplexPipe, IAsyncDisposable
{
    // Larger than what is flushed where a test is not about waiting.
    public const int RoomToClient = 1024 * 1024;

    private static readonly SslServerAuthenticationOptions Options = TestCertificate.ForToday("a.test").Load().Options;

    private readonly Pipe _toServer = new(new PipeOptions(pauseWriterThreshold: 0));
    private readonly Pipe _toClient = new(new PipeOptions(pauseWriterThreshold: RoomToClient, useSynchronizationContext: false));
    private readonly ClientSide _clientSide;

    private TlsPair()
    {
        _clientSide = new ClientSide(_toServer.Writer, _toClient.Reader.AsStream());
        Client = new SslStream(_clientSide, leaveInnerStreamOpen: true);
        Records = new RecordStream(this);
        Server = new SslStream(Records, leaveInnerStreamOpen: true);
        Pool = new BlockMemoryPool(64 * 1024, Ledger);
        Reader = new TlsPipeReader(Server, Records, Input, Pool);
        Writer = new TlsPipeWriter(Server, Output, Pool);
    }

    public static TimeSpan Deadline => ScriptedConnection.Deadline;

    /// <summary>The server's side of the connection.</summary>
    public PipeReader Input => _toServer.Reader;

    /// <summary>The same, for what it says.</summary>
    public PipeWriter Output => _toClient.Writer;

    /// <summary>What arrives at the client, still encrypted.</summary>
    public PipeReader AtClient => _toClient.Reader;

    public SslStream Client { get; }

    public SslStream Server { get; }

    public RecordStream Records { get; }

    public TlsPipeReader Reader { get; }

    public TlsPipeWriter Writer { get; }

    public BufferLedger Ledger { get; } = new();

    private BlockMemoryPool Pool { get; }

    /// <param name="version">What both are to speak.</param>
    public static async Task<TlsPair> StartAsync(SslProtocols version = SslProtocols.Tls13)
    {
        var pair = new TlsPair();
        var server = pair.Server.AuthenticateAsServerAsync(Options);
        var client = pair.Client.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "a.test",
            EnabledSslProtocols = version,
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
        });
        await server.WaitAsync(Deadline);
        await pair.Records.EndHandshakeAsync(CancellationToken.None);
        await client.WaitAsync(Deadline);
        // What the server sends behind its handshake is read with the first data.
        pair.Writer.Write("!"u8);
        await pair.Writer.FlushAsync();
        await pair.ReceiveAsync(1);
        return pair;
    }

    /// <summary>What the client's messages are as records, which are held back.</summary>
    public async Task<byte[]> EncryptAsync(params byte[][] messages)
    {
        _clientSide.Held = [];
        foreach (var message in messages) await Client.WriteAsync(message);
        return Held();
    }

    /// <summary>The same of close_notify.</summary>
    public async Task<byte[]> EncryptEndAsync()
    {
        _clientSide.Held = [];
        await Client.ShutdownAsync();
        return Held();
    }

    /// <summary>Bytes reach the server.</summary>
    public async Task GiveAsync(ReadOnlyMemory<byte> bytes) => await _toServer.Writer.WriteAsync(bytes);

    /// <summary>The client's side of the connection ends.</summary>
    public void End() => _toServer.Writer.Complete();

    /// <summary>Reads at the client.</summary>
    public async Task<byte[]> ReceiveAsync(int count)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        var got = new byte[count];
        return got[..await Client.ReadAtLeastAsync(got, count, throwOnEndOfStream: false, deadline.Token)];
    }

    public async ValueTask DisposeAsync()
    {
        Writer.Complete(new IOException("over"));
        Reader.Complete();
        await Server.DisposeAsync();
        await Client.DisposeAsync();
        Assert.Equal(0, Ledger.Count);
    }

    private byte[] Held()
    {
        var held = _clientSide.Held!.ToArray();
        _clientSide.Held = null;
        return held;
    }

    private sealed class ClientSide(PipeWriter toServer, Stream fromServer) : AsyncStream
    {
        /// <summary>Null passes on.</summary>
        public List<byte>? Held { get; set; }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            fromServer.ReadAsync(buffer, cancellationToken);

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (Held is { } held) held.AddRange(buffer.Span);
            else await toServer.WriteAsync(buffer, cancellationToken);
        }
    }
}
