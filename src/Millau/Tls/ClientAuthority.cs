namespace Millau.Tls;

/// <summary>
/// The CA that clients of one service need a certificate of, as its label and secret stand now. One object for as long
/// as the service has the label.
/// </summary>
internal sealed class ClientAuthority(string service)
{
    private volatile CertificateAuthority? _current;

    public string Service => service;

    /// <summary>Null while there never was a usable one: no client is let in then.</summary>
    public CertificateAuthority? Current
    {
        get => _current;
        set => _current = value;
    }
}
