using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Millau.Discovery;

/// <summary>Where the Engine API is, as <c>DOCKER_HOST</c> and its companions say.</summary>
internal sealed class EngineEndpoint
{
    public const string Default = "unix:///var/run/docker.sock";

    /// <summary>What is used when nothing is configured.</summary>
    public static readonly EngineEndpoint LocalSocket =
        new(Default, new UnixDomainSocketEndPoint(Default["unix://".Length..]), new Uri("http://docker/"), null);

    private const string AllowedHosts = "unix:///path/to/docker.sock or tcp://host:port";

    private EngineEndpoint(string text, EndPoint address, Uri baseUri, SslClientAuthenticationOptions? tls)
    {
        Text = text;
        Address = address;
        BaseUri = baseUri;
        Tls = tls;
    }

    /// <summary>As configured, for people.</summary>
    public string Text { get; }

    /// <summary>What to connect to: a unix socket, or a host (perhaps to be resolved) and port.</summary>
    public EndPoint Address { get; }

    /// <summary>What requests are addressed to: <c>http://docker/</c> on a unix socket.</summary>
    public Uri BaseUri { get; }

    /// <summary>Null for a plain connection.</summary>
    public SslClientAuthenticationOptions? Tls { get; }

    /// <summary>
    /// Reads the settings as Docker's own clients do: a certificate path turns TLS on for <c>tcp://</c>, any value of
    /// <paramref name="tlsVerify"/> turns TLS and the check of the Engine's certificate on.
    /// </summary>
    /// <param name="dockerHost"><c>DOCKER_HOST</c>; null or empty is the default socket.</param>
    /// <param name="tlsVerify"><c>DOCKER_TLS_VERIFY</c>.</param>
    /// <param name="certPath"><c>DOCKER_CERT_PATH</c>: a directory with ca.pem, cert.pem and key.pem. When only
    /// verification is asked for it is <c>~/.docker</c>.</param>
    /// <param name="endpoint">The result, or null.</param>
    /// <param name="error">Names the setting, its value and what is allowed; empty on success.</param>
    public static bool TryParse(
        string? dockerHost, string? tlsVerify, string? certPath, out EngineEndpoint? endpoint, out string error)
    {
        endpoint = null;
        error = "";
        var text = string.IsNullOrWhiteSpace(dockerHost) ? Default : dockerHost.Trim();
        if (text == Default)
        {
            endpoint = LocalSocket;
            return true;
        }

        if (text.StartsWith("unix://", StringComparison.Ordinal))
        {
            // sun_path holds 108 bytes, the closing NUL included.
            var path = text["unix://".Length..];
            if (!path.StartsWith('/') || path.Contains('\0') || System.Text.Encoding.UTF8.GetByteCount(path) > 107)
                return Refuse(text, "unix:// with an absolute path of at most 107 bytes", out error);
            endpoint = new(text, new UnixDomainSocketEndPoint(path), new Uri("http://docker/"), null);
            return true;
        }

        if (!text.StartsWith("tcp://", StringComparison.Ordinal)
            || !Uri.TryCreate(text, UriKind.Absolute, out var uri)
            || uri.Host.Length == 0
            || uri.UserInfo.Length > 0
            || uri.PathAndQuery is not ("" or "/")
            || uri.Port == 0)
            return Refuse(text, AllowedHosts, out error);

        var verify = !string.IsNullOrEmpty(tlsVerify);
        var useTls = verify || !string.IsNullOrEmpty(certPath);
        var port = uri.Port > 0 ? uri.Port : useTls ? 2376 : 2375;
        EndPoint address = IPAddress.TryParse(uri.DnsSafeHost, out var ip)
            ? new IPEndPoint(ip, port)
            : new DnsEndPoint(uri.DnsSafeHost, port);
        SslClientAuthenticationOptions? tls = null;
        if (useTls && !TryLoadTls(certPath, verify, out tls, out error))
            return false;
        endpoint = new(text, address, new UriBuilder(useTls ? "https" : "http", uri.Host, port).Uri, tls);
        return true;
    }

    private static bool Refuse(string value, string allowed, out string error)
    {
        error = $"name=DOCKER_HOST value=\"{value}\" allowed=\"{allowed}\"";
        return false;
    }

    private static bool TryLoadTls(
        string? certPath, bool verify, out SslClientAuthenticationOptions? tls, out string error)
    {
        tls = null;
        error = "";
        var directory = string.IsNullOrEmpty(certPath)
            ? Path.Combine(Environment.GetEnvironmentVariable("HOME") ?? "/", ".docker")
            : certPath;
        try
        {
            var options = new SslClientAuthenticationOptions
            {
                ClientCertificates =
                [
                    X509Certificate2.CreateFromPemFile(
                        Path.Combine(directory, "cert.pem"), Path.Combine(directory, "key.pem")),
                ],
            };
            if (verify)
            {
                // The Engine's certificate is checked against this authority alone, never the system's.
                var chain = new X509ChainPolicy
                {
                    TrustMode = X509ChainTrustMode.CustomRootTrust,
                    RevocationMode = X509RevocationMode.NoCheck,
                };
                chain.CustomTrustStore.ImportFromPemFile(Path.Combine(directory, "ca.pem"));
                options.CertificateChainPolicy = chain;
            }
            else
            {
                options.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
            }

            tls = options;
            return true;
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException
                                      or ArgumentException)
        {
            error = $"name=DOCKER_CERT_PATH value=\"{directory}\" allowed=\"a directory with readable ca.pem, cert.pem and "
                    + $"key.pem\" reason=\"{e.Message}\"";
            return false;
        }
    }
}
