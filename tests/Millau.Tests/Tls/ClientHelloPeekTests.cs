using System.Buffers.Binary;
using System.Net.Security;
using System.Text;
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
