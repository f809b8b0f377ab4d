namespace Millau.Bench;

/// <summary>Where a proxy is to listen and where its origin is.</summary>
internal sealed record ProxyPlace(int Port, int OriginPort, int EnginePort, string Directory, Options Options)
{
    /// <summary>The port for TLS.</summary>
    public int TlsPort { get; init; }

    /// <summary>Millau's port for metrics.</summary>
    public int TelemetryPort { get; init; }

    /// <summary>How many cores it may use.</summary>
    public int Cores { get; init; } = 1;

    /// <summary>How many connections it has to be ready for, where it must be told.</summary>
    public int Connections { get; init; } = 4096;

    /// <summary>Whether it is to listen there, with the certificate in its directory.</summary>
    public bool IsTls { get; init; }
}

/// <summary>
/// A proxy that the bench can run. The configurations in <c>bench/conf</c> are meant to be what a competent operator writes:
/// each forwards over kept-alive connections, adds the same four forwarding headers and writes no access log.
/// </summary>
/// <param name="Name">As in <c>--only</c>.</param>
/// <param name="Prepare">Writes the configuration and says what to start.</param>
internal sealed record ProxyKind(string Name, Func<ProxyPlace, Command> Prepare)
{
    /// <summary>nginx runs twice where bodies are large, and the better of the two is what others are compared with.</summary>
    public const string Reference = "nginx";

    private const string StreamingName = "nginx-streaming";

    public static ProxyKind OfMillau { get; } = new("millau", Millau);

    public static IReadOnlyList<string> AllNames => ["millau", "nginx", "haproxy", "caddy", "yarp"];

    public bool IsReference => Name is Reference or StreamingName;

    /// <summary>Those that take part in a workload, in the order of the report.</summary>
    public static IReadOnlyList<ProxyKind> For(Workload? workload, Options options)
    {
        List<ProxyKind> kinds = [OfMillau, new(Reference, p => Nginx(p, streaming: false))];
        if (workload is { HasLargeBodies: true })
            kinds.Add(new(StreamingName, p => Nginx(p, streaming: true)));
        kinds.Add(new("haproxy", p => new Command("haproxy", "-db", "-f", Configured(p, "haproxy.cfg", ""))));
        kinds.Add(new("caddy", p => new Command("caddy", "run", "--adapter", "caddyfile", "--config", Configured(p, "Caddyfile", ""))
        {
            Environment = { ["GOMAXPROCS"] = $"{p.Cores}", ["HOME"] = p.Directory, ["XDG_DATA_HOME"] = p.Directory, ["XDG_CONFIG_HOME"] = p.Directory },
        }));
        if (workload is not { Tls: not null }) kinds.Add(new("yarp", p => new Command("dotnet", Path.Combine(p.Options.Artifacts, "YarpPeer", "yarp-peer.dll"), $"{p.Port}", $"{p.OriginPort}")));
        return [.. kinds.Where(k => options.Wants(k.IsReference ? Reference : k.Name))];
    }

    /// <summary>Millau finds the origin as a container, told by <see cref="EngineStandIn"/>.</summary>
    private static Command Millau(ProxyPlace place) => new(place.Options.MillauBinary)
    {
        Environment =
        {
            ["HTTP"] = $"{place.Port}",
            ["HTTPS"] = $"{place.TlsPort}",
            ["TELEMETRY"] = $"{place.TelemetryPort}",
            ["MAX_CONNECTIONS"] = $"{place.Connections}",
            ["ACME"] = "off",
            ["DOCKER_HOST"] = $"tcp://127.0.0.1:{place.EnginePort}",
            ["LOGGING"] = "WARN",
            ["ACCESS_LOG"] = place.Options.AccessLog,
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = place.Options.Tracing ? $"http://127.0.0.1:{Ports.Free()}" : "",
        },
    };

    private static Command Nginx(ProxyPlace place, bool streaming) => new("nginx", "-e", Path.Combine(place.Directory, "error.log"), "-c",
        Configured(place, "nginx.conf", streaming
            ? """
              proxy_request_buffering off;
                          client_body_buffer_size 64k;
                          proxy_buffer_size 16k;
                          proxy_buffers 8 32k;
                          proxy_busy_buffers_size 64k;
                          proxy_max_temp_file_size 0;
              """
            : ""));

    /// <summary>Fills in a configuration of <c>bench/conf</c> and returns the path of the result.</summary>
    public static string Configured(ProxyPlace place, string template, string streaming)
    {
        var path = Path.Combine(place.Directory, template);
        File.WriteAllText(path, File.ReadAllText(Path.Combine(place.Options.Configuration, template))
            .Replace("@DIR@", place.Directory, StringComparison.Ordinal)
            .Replace("@PORT@", $"{place.Port}", StringComparison.Ordinal)
            .Replace("@TLSPORT@", $"{place.TlsPort}", StringComparison.Ordinal)
            // What only a listener for TLS has stands behind this mark, a line each.
            .Replace("#TLS ", place.IsTls ? "" : "# ", StringComparison.Ordinal)
            .Replace("@ORIGIN@", $"{place.OriginPort}", StringComparison.Ordinal)
            // Started by root, nginx would give up its rights and could not enter the bench's directory.
            .Replace("@USER@", Environment.IsPrivilegedProcess ? "user root;" : "", StringComparison.Ordinal)
            .Replace("@CORES@", $"{place.Cores}", StringComparison.Ordinal)
            .Replace("@CONNECTIONS@", $"{place.Connections}", StringComparison.Ordinal)
            .Replace("@STREAMING@", streaming.Trim(), StringComparison.Ordinal));
        return path;
    }
}
