using System.Globalization;
using Microsoft.Extensions.Logging;
using Millau.Discovery;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Logging;
using Millau.Telemetry.Access;

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
    public const string AcmeName = "ACME";
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

    /// <summary>Directory of the certificate authority; null if automatic HTTPS is off.</summary>
    public Uri? Acme { get; init; } = new(DefaultAcme);

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
            Acme = reader.Acme(),
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

        // Kestrel looks at its times once a second, and wants two for a body.
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
