using System.Collections.Immutable;
using Millau.Routing;

namespace Millau.Discovery;

/// <summary>
/// What the labels of a service ask of TLS beyond the certificate for its hosts: TLS with its instances, and certificates
/// of its clients. The values are base64 of PEM or <c>secret:NAME</c>; they are not looked into here.
/// </summary>
/// <param name="Instances">How TLS is spoken with the instances; null if it is not.</param>
/// <param name="ClientAuthority">The CA whose certificates clients must have; null if they need none.</param>
internal sealed record TlsLabels(InstanceTlsLabels? Instances, string? ClientAuthority)
{
    public static readonly TlsLabels None = new(null, null);

    private const string Scheme = "millau.scheme";
    private const string Authority = "millau.ca";
    private const string Certificate = "millau.clientcert";
    private const string Key = "millau.clientkey";
    private const string ServerName = "millau.servername";
    private const string ClientAuthorityLabel = "millau.clientca";

    private const string MaterialAllowed = "base64 of PEM, or secret:NAME";

    public static readonly string[] Known = [Scheme, Authority, Certificate, Key, ServerName, ClientAuthorityLabel];

    /// <summary>The value must not reach a log.</summary>
    public static bool IsHidden(string label) => label.Equals(Key, StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads them; mistakes are added to the problems.</summary>
    /// <param name="values">All labels of the service.</param>
    /// <param name="hosts">Its hosts.</param>
    /// <param name="isOff">It is not enabled, so that nothing is required of it.</param>
    public static TlsLabels Read(
        Dictionary<string, string> values, ImmutableArray<string> hosts, bool isOff,
        ImmutableArray<LabelProblem>.Builder problems)
    {
        foreach (var label in (ReadOnlySpan<string>)[Authority, Certificate, Key, ClientAuthorityLabel])
        {
            // An empty one must not pass for none: clients would need no certificate.
            if (values.TryGetValue(label, out var value) && value.Length == 0)
                problems.Add(new(label, value, MaterialAllowed));
        }
        var clients = values.GetValueOrDefault(ClientAuthorityLabel);
        if (!IsHttps(values, problems))
        {
            foreach (var label in (ReadOnlySpan<string>)[Authority, Certificate, Key, ServerName])
            {
                if (values.ContainsKey(label)) problems.Add(new(label, "(set)", "only together with millau.scheme=https"));
            }
            return clients is null ? None : new(null, clients);
        }
        var (certificate, key) = (values.GetValueOrDefault(Certificate), values.GetValueOrDefault(Key));
        if (certificate is null != key is null)
            problems.Add(new(certificate is null ? Certificate : Key, "(not set)",
                $"{Certificate} and {Key} together; {(certificate is null ? Key : Certificate)} alone is of no use"));
        var name = ReadServerName(values, hosts, isOff, problems);
        return new(new InstanceTlsLabels(name, values.GetValueOrDefault(Authority), certificate, key), clients);
    }

    /// <summary>For the log; no certificates and keys.</summary>
    public override string ToString() =>
        (Instances is null ? "" : $" scheme=https servername={Instances.ServerName}")
        + (ClientAuthority is null ? "" : " clientca=set");

    private static bool IsHttps(Dictionary<string, string> values, ImmutableArray<LabelProblem>.Builder problems)
    {
        if (!values.TryGetValue(Scheme, out var text) || text.Equals("http", StringComparison.OrdinalIgnoreCase)) return false;
        if (!text.Equals("https", StringComparison.OrdinalIgnoreCase)) problems.Add(new(Scheme, text, "http or https"));
        return true;
    }

    // Instances are addresses, which no certificate names. Without a label it is the name that their clients use: the
    // certificate for that is the one that most of them have.
    private static string ReadServerName(
        Dictionary<string, string> values, ImmutableArray<string> hosts, bool isOff,
        ImmutableArray<LabelProblem>.Builder problems)
    {
        if (values.TryGetValue(ServerName, out var text))
        {
            if (text != HostName.Any && HostName.IsValid(text)) return HostName.Normalize(text);
            problems.Add(new(ServerName, text, "one host name, or an IP address"));
        }
        else if (hosts.FirstOrDefault(h => h != HostName.Any) is { } host)
        {
            return host;
        }
        else if (!isOff)
        {
            problems.Add(new(ServerName, "(not set)",
                "the name in the instances' certificate; required with millau.scheme=https where millau.hosts names no host"));
        }
        return "";
    }
}

/// <summary>TLS with the instances of a service, as its labels have it.</summary>
/// <param name="ServerName">The name that the instances' certificate must cover; asked for by SNI.</param>
/// <param name="Authority">The CA of the instances' certificate; null for the system's.</param>
/// <param name="Certificate">Shown to instances that ask for one; null if there is none.</param>
/// <param name="Key">Its private key. Must not reach a log.</param>
internal sealed record InstanceTlsLabels(string ServerName, string? Authority, string? Certificate, string? Key)
{
    /// <summary>Without the key.</summary>
    public override string ToString() => ServerName;
}
