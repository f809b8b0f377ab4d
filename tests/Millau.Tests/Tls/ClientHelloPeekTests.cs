using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Millau.Tls;

namespace Millau.Tests.Tls;

/// <summary>Reading which protocols a ClientHello offers.</summary>
public class ClientHelloPeekTests
{
    [Theory]
    [InlineData("acme-tls/1", true)]
    [InlineData("h2 acme-tls/1", true)]
    [InlineData("h2 http/1.1", false)]
    [InlineData("acme-tls/2", false)]
    [InlineData("acme-tls/1x", false)]
    [InlineData("", false)]
    public async Task The_offer_of_a_real_client_is_found(string protocols, bool expected) =>
        Assert.Equal(expected, ClientHelloPeek.OffersAcmeTls(await HelloAsync(protocols)));

    [Fact]
    public async Task No_prefix_and_no_flipped_byte_of_a_hello_does_harm()
    {
        var hello = await HelloAsync("h2 acme-tls/1");
        for (var length = 0; length < hello.Length; length++) ClientHelloPeek.OffersAcmeTls(hello.AsSpan(0, length));
        for (var at = 0; at < hello.Length; at++)
        {
            foreach (var value in (byte[])[0, 1, 127, 255])
            {
                var broken = hello.ToArray();
                broken[at] = value;
                ClientHelloPeek.OffersAcmeTls(broken);
            }
        }
        Assert.False(ClientHelloPeek.OffersAcmeTls([]));
    }

    [Theory]
    [InlineData("h2 acme-tls/1", true)]
    [InlineData("h2", false)]
    public async Task It_is_read_in_one_piece_in_any_two_and_byte_by_byte_and_left_for_the_handshake(string protocols, bool expected)
    {
        var pem = TestCertificate.For("a.test");
        using var certificate = X509Certificate2.CreateFromPem(pem.CertificatePem, pem.KeyPem);
        var challenges = new AlpnChallenges();
        challenges.Set("a.test", certificate);
        var hello = await HelloAsync(protocols);
        for (var split = 1; split < hello.Length; split++) await PeekAsync([hello[..split], hello[split..]]);
        await PeekAsync([.. hello.Select(b => new[] { b })]);

        async Task PeekAsync(byte[][] pieces)
        {
            var pipe = new Pipe();
            var connection = new DefaultConnectionContext("c", new Duplex(pipe), new Duplex(pipe));
            var peeked = new ClientHelloPeek(challenges, TimeProvider.System, _ => Task.CompletedTask).OnConnectionAsync(connection);
            foreach (var piece in pieces)
            {
                Assert.False(peeked.IsCompleted);
                await pipe.Writer.WriteAsync(piece, TestContext.Current.CancellationToken);
            }
            await peeked;
            Assert.Equal(expected, connection.Features.Get<AcmeTlsOffer>() is not null);
            Assert.True(pipe.Reader.TryRead(out var left));
            Assert.Equal(hello, left.Buffer.ToArray());
        }
    }

    private sealed class Duplex(Pipe pipe) : IDuplexPipe
    {
        public PipeReader Input => pipe.Reader;
        public PipeWriter Output => pipe.Writer;
    }

    /// <summary>The first record that a client sends.</summary>
    private static async Task<byte[]> HelloAsync(string protocols)
    {
        using var sent = new Recorder();
        await using var client = new SslStream(sent);
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = "a.test",
            ApplicationProtocols = [.. protocols.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(p => new SslApplicationProtocol(p))],
        };
        await Assert.ThrowsAnyAsync<Exception>(() => client.AuthenticateAsClientAsync(options));
        var bytes = sent.ToArray();
        Assert.Contains("a.test", Encoding.Latin1.GetString(bytes));
        return bytes[..(5 + BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(3)))];
    }

    /// <summary>Keeps what is written; there is nothing to read.</summary>
    private sealed class Recorder : MemoryStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(0);
    }
}
