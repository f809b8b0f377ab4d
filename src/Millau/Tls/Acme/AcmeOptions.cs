using System.Security.Cryptography.X509Certificates;

namespace Millau.Tls.Acme;

/// <summary>What the settings say of automatic HTTPS.</summary>
internal sealed record AcmeOptions
{
    /// <summary>The CA's directory.</summary>
    public required Uri Directory { get; init; }

    /// <summary>Where state is kept.</summary>
    public required string Data { get; init; }

    /// <summary>Where the CA may write to; null for nowhere.</summary>
    public string? Email { get; init; }

    /// <summary>An account at the CA that the ACME account is bound to; null for none.</summary>
    public ExternalAccount? ExternalAccount { get; init; }

    /// <summary>The CA's profile for certificates (draft-ietf-acme-profiles); null for its default.</summary>
    public string? Profile { get; init; }

    /// <summary>Trusted for the directory's own certificate, beside the system's.</summary>
    public X509Certificate2Collection? Roots { get; init; }
}
