using System.Net.Security;
using Millau.Discovery;
using Millau.Tests.Tls;

namespace Millau.Tests.Wire;

/// <summary>
/// Whether the scripted instances of a test speak TLS, and its services so with them. A class of wire tests is run over
/// TLS by one derived from it, whose constructor calls <see cref="SpeakTls"/>.
/// </summary>
internal static class InstanceKind
{
    public const string ServerName = "instance.test";

    public static readonly TestAuthority Authority = new("CA of instances");

    private static readonly SslServerAuthenticationOptions Options = Server(Authority.ForServer(ServerName));
    private static readonly AsyncLocal<SslServerAuthenticationOptions?> Chosen = new();

    /// <summary>How instances that are made now speak TLS; null if they do not.</summary>
    public static SslServerAuthenticationOptions? Tls => Chosen.Value;

    /// <summary>What services made now say of TLS.</summary>
    public static TlsLabels Labels => Tls is null ? TlsLabels.None : Trusting(Authority);

    public static void SpeakTls() => Chosen.Value = Options;

    /// <summary>Labels for instances with a certificate of this CA.</summary>
    public static TlsLabels Trusting(TestAuthority authority, string name = ServerName) =>
        new(new InstanceTlsLabels(name, authority.Label, null, null), null);

    /// <summary>How a server speaks TLS that has this certificate.</summary>
    public static SslServerAuthenticationOptions Server(TestCertificate certificate) => new()
    {
        ServerCertificateContext = certificate.Load().Context,
        ApplicationProtocols = [SslApplicationProtocol.Http11],
    };
}
