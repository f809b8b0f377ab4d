using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Logging;
using Millau.Telemetry.Access;
using Millau.Tls.Acme;

namespace Millau;

/// <summary>
/// Everything that the environment sets, read and validated once at start. A variable that is empty counts as unset, as
/// a stack file with <c>${HTTP}</c> gives it.
/// </summary>
internal sealed record Settings
{
    public const string HttpName = "HTTP";
    public const string HttpsName = "HTTPS";
    public const string HttpsPublishedName = "HTTPS_PUBLISHED";
    public const string TelemetryName = "TELEMETRY";
    public const string LoggingName = "LOGGING";
    public const string LogFormatName = "LOG_FORMAT";
    public const string AccessLogName = "ACCESS_LOG";
    public const string OtlpEndpointName = "OTEL_EXPORTER_OTLP_ENDPOINT";
    public const string OtlpProtocolName = "OTEL_EXPORTER_OTLP_PROTOCOL";
    public const string TracesSamplerName = "OTEL_TRACES_SAMPLER";
    public const string AcmeName = "ACME";
    public const string AcmeEmailName = "ACME_EMAIL";
    public const string AcmeEabKidName = "ACME_EAB_KID";
    public const string AcmeEabHmacName = "ACME_EAB_HMAC";
    public const string AcmeProfileName = "ACME_PROFILE";
    public const string AcmeCaName = "ACME_CA";
    public const string AcmeDataName = "ACME_DATA";
    public const string LicenseName = "LICENSE";
    public const string MaxConnectionsName = "MAX_CONNECTIONS";
    public const string MaxStreamsName = "MAX_STREAMS";
    public const string HeaderTimeoutName = "HEADER_TIMEOUT";
    public const string BodyTimeoutName = "BODY_TIMEOUT";
    public const string IdleTimeoutName = "IDLE_TIMEOUT";
    public const string TrustedProxiesName = "TRUSTED_PROXIES";
    public const string ProxyProtocolName = "PROXY_PROTOCOL";
    public const string AllowedHostsName = "ALLOWED_HOSTS";
    public const string DockerHostName = "DOCKER_HOST";
    public const string DockerTlsVerifyName = "DOCKER_TLS_VERIFY";
    public const string DockerCertPathName = "DOCKER_CERT_PATH";

    public const int DefaultHttpPort = 80;
    public const int DefaultHttpsPort = 443;
    public const int DefaultTelemetryPort = 9100;
    public const string DefaultAcme = "https://acme-v02.api.letsencrypt.org/directory";

    public const string DefaultAcmeData = "/data";

    private const string AllowedPort = "a port from 1 to 65535, as 8080 or :8080";

    public int HttpPort { get; init; } = DefaultHttpPort;

    public int HttpsPort { get; init; } = DefaultHttpsPort;

    /// <summary>Where clients reach the TLS listener: named in redirects to https.</summary>
    public int HttpsPublishedPort { get; init; } = DefaultHttpsPort;

    /// <summary>Health and metrics.</summary>
    public int TelemetryPort { get; init; } = DefaultTelemetryPort;

    public LogLevel LogLevel { get; init; } = LogLevel.Information;

    /// <summary>How events are written.</summary>
    public LogFormat LogFormat { get; init; } = LogFormat.Text;

    /// <summary>How requests are told; not at all by default.</summary>
    public AccessLogFormat AccessLog { get; init; } = AccessLogFormat.Off;

    /// <summary>Requests are traced, and where to is said by the variables of OpenTelemetry, which its SDK reads.</summary>
    public bool IsTraced { get; init; }

    /// <summary>Directory of the certificate authority; null if automatic HTTPS is off.</summary>
    public Uri? Acme { get; init; } = new(DefaultAcme);

    /// <summary>Where the certificate authority may write to; null for nowhere.</summary>
    public string? AcmeEmail { get; init; }

    /// <summary>The account at the certificate authority that the ACME account is bound to; null for none.</summary>
    public ExternalAccount? AcmeExternalAccount { get; init; }

    /// <summary>The authority's profile for certificates; null for its default.</summary>
    public string? AcmeProfile { get; init; }

    /// <summary>Roots that the authority's own certificate may lead to, beside the system's; null for none.</summary>
    public X509Certificate2Collection? AcmeRoots { get; init; }

    /// <summary>The directory where certificates, the account and waits are kept.</summary>
    public string AcmeData { get; init; } = DefaultAcmeData;

    /// <summary>Whether answers say in headers who served them.</summary>
    public bool DebuggingHeaders { get; init; } = true;

    /// <summary>What clients may take, and which are believed.</summary>
    public ClientRules Clients { get; init; } = new();

    /// <summary>Which stack may claim which hosts; null if each may claim all.</summary>
    public HostClaims? AllowedHosts { get; init; }

    /// <summary>Where the Engine API is.</summary>
    public EngineEndpoint Engine { get; init; } = EngineEndpoint.LocalSocket;

    /// <summary>Reads all settings.</summary>
    /// <param name="getenv">Gives a variable's value, or null.</param>
    /// <param name="settings">What was read; the defaults if there is an error, less the format of the log.</param>
    /// <param name="error">One line that names the setting, its value and what is allowed; else empty.</param>
    public static bool TryRead(Func<string, string?> getenv, out Settings settings, out string error)
    {
        var reader = new Reader(getenv);
        var https = reader.Port(HttpsName, DefaultHttpsPort);
        settings = new Settings
        {
            HttpPort = reader.Port(HttpName, DefaultHttpPort),
            HttpsPort = https,
            HttpsPublishedPort = reader.Port(HttpsPublishedName, https),
            TelemetryPort = reader.Port(TelemetryName, DefaultTelemetryPort),
            LogLevel = reader.Level(LoggingName),
            LogFormat = reader.Choice(LogFormatName, ("text", LogFormat.Text), ("json", LogFormat.Json)),
            AccessLog = reader.Choice(AccessLogName, ("off", AccessLogFormat.Off), ("common", AccessLogFormat.Common),
                ("combined", AccessLogFormat.Combined), ("json", AccessLogFormat.Json)),
            IsTraced = reader.IsTraced(),
            Acme = reader.Acme(),
            AcmeEmail = reader.Checked(AcmeEmailName, IsEmail, "one address, such as admin@example.com"),
            AcmeExternalAccount = reader.ExternalAccount(),
            AcmeProfile = reader.Checked(AcmeProfileName, IsProfile, "the name of a profile: letters, digits, '-', '_' and '.'"),
            AcmeRoots = reader.Roots(),
            AcmeData = reader.Checked(AcmeDataName, Path.IsPathRooted, "the absolute path of a directory") ?? DefaultAcmeData,
            DebuggingHeaders = reader.Get(LicenseName) is null,
            Engine = reader.Engine(),
            Clients = reader.Clients(),
            AllowedHosts = reader.AllowedHosts(),
        };
        reader.Distinct(
            (HttpName, settings.HttpPort), (HttpsName, settings.HttpsPort), (TelemetryName, settings.TelemetryPort));

        error = reader.Error ?? "";
        if (reader.Error is null)
            return true;
        // The error is to be told in the format asked for.
        settings = new Settings { LogFormat = settings.LogFormat };
        return false;
    }

    /// <summary>What a contact may be (RFC 8555 section 7.3): one address, and nothing that a mailto URL would take for more.</summary>
    private static bool IsEmail(string value) =>
        value.IndexOf('@') is > 0 and var at && at < value.Length - 1 && value.IndexOf('@', at + 1) < 0
        && !value.AsSpan().ContainsAny(" ,;?&<>\"") && value.All(c => c is > ' ' and < '\x7f');

    private static bool IsProfile(string value) => value.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');

    /// <summary>Reads one value after the other and keeps the first error.</summary>
    private sealed class Reader(Func<string, string?> getenv)
    {
        public string? Error { get; private set; }

        public string? Get(string name) => getenv(name)?.Trim() is { Length: > 0 } value ? value : null;

        public int Port(string name, int otherwise)
        {
            if (Get(name) is not { } value)
                return otherwise;
            var digits = value.AsSpan(value[0] == ':' ? 1 : 0);
            if (digits.Length is >= 1 and <= 5 && !digits.ContainsAnyExceptInRange('0', '9')
                && int.Parse(digits) is >= 1 and <= 65535 and var port)
            {
                return port;
            }

            Fail(name, value, AllowedPort);
            return otherwise;
        }

        public LogLevel Level(string name)
        {
            var value = Get(name);
            switch (value?.ToUpperInvariant())
            {
                case null:
                case "INFO":
                    return LogLevel.Information;
                case "FATAL":
                    return LogLevel.Critical;
                case "ERROR":
                    return LogLevel.Error;
                case "WARN":
                    return LogLevel.Warning;
                case "DEBUG":
                    return LogLevel.Debug;
                default:
                    Fail(name, value, "FATAL, ERROR, WARN, INFO or DEBUG");
                    return LogLevel.Information;
            }
        }

        /// <summary>One of a few words, in any case; the first of them if it is unset.</summary>
        public T Choice<T>(string name, params ReadOnlySpan<(string Word, T Value)> allowed)
        {
            if (Get(name) is not { } value)
                return allowed[0].Value;
            var words = new List<string>();
            foreach (var (word, meaning) in allowed)
            {
                if (value.Equals(word, StringComparison.OrdinalIgnoreCase))
                    return meaning;
                words.Add(word);
            }

            Fail(name, value, $"{string.Join(", ", words[..^1])} or {words[^1]}");
            return allowed[0].Value;
        }

        /// <summary>Also checks what the SDK would silently take for its default.</summary>
        public bool IsTraced()
        {
            if (Get(OtlpEndpointName) is not { } endpoint)
                return false;
            if (!Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
                Fail(OtlpEndpointName, endpoint, "the http:// or https:// address of an OTLP collector");
            Choice(OtlpProtocolName, ("grpc", 0), ("http/protobuf", 0));
            Choice(TracesSamplerName, ("parentbased_always_on", 0), ("parentbased_always_off", 0), ("parentbased_traceidratio", 0),
                ("always_on", 0), ("always_off", 0), ("traceidratio", 0));
            return true;
        }

        public Uri? Acme()
        {
            var value = Get(AcmeName);
            if (string.Equals(value, "off", StringComparison.OrdinalIgnoreCase))
                return null;
            if (Uri.TryCreate(value ?? DefaultAcme, UriKind.Absolute, out var uri)
                && uri.Scheme is "https" or "http" && uri.UserInfo.Length == 0)
            {
                return uri;
            }

            Fail(AcmeName, value!, "the https:// address of an ACME directory, or off");
            return null;
        }

        public ClientRules Clients()
        {
            var otherwise = new ClientLimits();
            var rules = new ClientRules
            {
                Limits = new ClientLimits
                {
                    Connections = Number(MaxConnectionsName, 1, 1_000_000, otherwise.Connections),
                    Streams = Number(MaxStreamsName, 1, 10_000, otherwise.Streams),
                    Header = Seconds(HeaderTimeoutName, otherwise.Header),
                    Body = Seconds(BodyTimeoutName, otherwise.Body),
                    Idle = Seconds(IdleTimeoutName, otherwise.Idle),
                },
                ProxyProtocol = OnOff(ProxyProtocolName),
            };
            if (Get(TrustedProxiesName) is { } trusted)
            {
                if (TrustedProxies.TryParse(trusted, out var proxies)) rules = rules with { Trusted = proxies };
                else Fail(TrustedProxiesName, trusted, TrustedProxies.Allowed);
            }
            else if (rules.ProxyProtocol)
            {
                Fail(ProxyProtocolName, Get(ProxyProtocolName)!, $"off, unless {TrustedProxiesName} says from whom");
            }
            return rules;
        }

        public HostClaims? AllowedHosts()
        {
            if (Get(AllowedHostsName) is not { } value)
                return null;
            if (HostClaims.TryParse(value, out var claims))
                return claims;
            Fail(AllowedHostsName, value, HostClaims.Allowed);
            return null;
        }

        private int Number(string name, int least, int most, int otherwise)
        {
            if (Get(name) is not { } value)
                return otherwise;
            if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most)
                return number;
            Fail(name, value, $"{least} to {most}");
            return otherwise;
        }

        // Times are looked at once a second.
        private TimeSpan Seconds(string name, TimeSpan otherwise) =>
            TimeSpan.FromSeconds(Number(name, 2, 86400, (int)otherwise.TotalSeconds));

        private bool OnOff(string name)
        {
            switch (Get(name)?.ToUpperInvariant())
            {
                case null or "OFF":
                    return false;
                case "ON":
                    return true;
                default:
                    Fail(name, Get(name)!, "on or off");
                    return false;
            }
        }

        public string? Checked(string name, Func<string, bool> isGood, string allowed)
        {
            if (Get(name) is not { } value)
                return null;
            if (isGood(value))
                return value;
            Fail(name, value, allowed);
            return null;
        }

        public ExternalAccount? ExternalAccount()
        {
            var (kid, hmac) = (Get(AcmeEabKidName), Get(AcmeEabHmacName));
            if (kid is null != hmac is null)
            {
                Fail(kid is null ? AcmeEabKidName : AcmeEabHmacName, "",
                    $"{AcmeEabKidName} and {AcmeEabHmacName} together, as the authority gave them");
            }
            if (kid is null || hmac is null)
                return null;
            // Most authorities give base64url, some the other alphabet; the bytes are the same.
            var text = hmac.TrimEnd('=').Replace('+', '-').Replace('/', '_');
            try
            {
                if (System.Buffers.Text.Base64Url.DecodeFromChars(text) is { Length: >= 16 } bytes)
                    return new ExternalAccount(kid, bytes);
            }
            catch (FormatException)
            {
                // Said below, without the value: it is a secret.
            }

            Fail(AcmeEabHmacName, "(hidden)", "the key as the authority gave it: base64url of 16 bytes or more");
            return null;
        }

        public X509Certificate2Collection? Roots()
        {
            if (Get(AcmeCaName) is not { } path)
                return null;
            var roots = new X509Certificate2Collection();
            try
            {
                roots.ImportFromPemFile(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
            {
                roots.Clear();
            }
            if (roots.Count > 0)
                return roots;
            Fail(AcmeCaName, path, "the path of a readable PEM file with one root certificate or more");
            return null;
        }

        public EngineEndpoint Engine()
        {
            if (EngineEndpoint.TryParse(
                    Get(DockerHostName), Get(DockerTlsVerifyName), Get(DockerCertPathName), out var endpoint, out var error))
                return endpoint!;
            Error ??= "Bad setting " + error;
            return EngineEndpoint.LocalSocket;
        }

        public void Distinct(params ReadOnlySpan<(string Name, int Port)> ports)
        {
            for (var i = 1; i < ports.Length; i++)
            {
                foreach (var (name, port) in ports[..i])
                {
                    if (port == ports[i].Port)
                        Fail(ports[i].Name, $"{port}", $"a port other than that of {name}");
                }
            }
        }

        private void Fail(string name, string value, string allowed) =>
            Error ??= $"Bad setting name={name} value=\"{value}\" allowed=\"{allowed}\"";
    }
}
