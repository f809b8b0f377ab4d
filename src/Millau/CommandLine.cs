using Millau.Discovery;

namespace Millau;

/// <summary>What can be asked of the program other than to run.</summary>
internal static class CommandLine
{
    private const int Success = 0;
    private const int Failure = 1;
    private const int UsageError = 2;

    private static readonly TimeSpan HealthCheckDeadline = TimeSpan.FromSeconds(2);

    private static readonly string Help = $"""
        Millau, an ingress proxy and load balancer for Docker Swarm, Docker and Compose.

        usage: millau                 run
               millau healthcheck     exit 0 if the instance on this host is up, else 1
               millau status [--json] what is routed, what is not, and why
               millau status [--certificate] HOST[/PATH] [METHOD]
                                      what would become of a request; of a client
                                      with a valid certificate
               millau --help          this text
               millau --version       the version

        Settings, by environment variable:
          {Settings.HttpName}               plain port, as 8080 or :8080              {Settings.DefaultHttpPort}
          {Settings.HttpsName}              TLS port, same forms                      {Settings.DefaultHttpsPort}
          {Settings.TelemetryName}          port of health and metrics, same forms    {Settings.DefaultTelemetryPort}
          {Settings.LoggingName}            FATAL, ERROR, WARN, INFO or DEBUG         INFO
          {Settings.LogFormatName}         text or json                              text
          {Settings.AccessLogName}         off, common, combined or json             off
          {Settings.AcmeName}               ACME directory, or off
                             {Settings.DefaultAcme}
          {Settings.AcmeEmailName}         where the authority may write to          unset
          {Settings.AcmeEabKidName}, {Settings.AcmeEabHmacName}
                             external account of the authority         unset
          {Settings.AcmeProfileName}       the authority's profile                   its default
          {Settings.AcmeCaName}            PEM of an extra root to trust it by       unset
          {Settings.AcmeDataName}          directory for certificates and account    {Settings.DefaultAcmeData}
          {Settings.LicenseName}            any value turns the debugging headers off unset
          {Settings.DockerHostName}        the Engine API, unix:// or tcp://
                             {EngineEndpoint.Default}
          {Settings.DockerTlsVerifyName}  any value: check the Engine's certificate unset
          {Settings.DockerCertPathName}   directory of ca.pem, cert.pem, key.pem    unset
        """;

    /// <summary>Does what the arguments ask for.</summary>
    /// <param name="args">The program's arguments.</param>
    /// <param name="getenv">Gives a variable's value, or null.</param>
    /// <param name="output">Standard output.</param>
    /// <param name="error">Standard error.</param>
    /// <returns>The exit code; null if the program is to run.</returns>
    public static async Task<int?> TryHandleAsync(
        string[] args, Func<string, string?> getenv, TextWriter output, TextWriter error)
    {
        switch (args)
        {
            case []:
                return null;
            case ["--help" or "-h" or "help"]:
                output.WriteLine(Help);
                return Success;
            case ["--version"]:
                output.WriteLine(Product.Title);
                return Success;
            case ["healthcheck"]:
                return await CheckHealthAsync(getenv, error).ConfigureAwait(false);
            case ["status", "--json"]:
                return await ShowStatusAsync(args[1..], getenv, output, error).ConfigureAwait(false);
            case ["status"]:
            case ["status", "--certificate", .. { Length: 1 or 2 } withCertificate] when !withCertificate.Any(a => a.StartsWith('-')):
            case ["status", .. { Length: 1 or 2 } request] when !request.Any(a => a.StartsWith('-')):
                return await ShowStatusAsync(args[1..], getenv, output, error).ConfigureAwait(false);
            default:
                error.WriteLine(
                    $"millau: unknown arguments \"{string.Join(' ', args)}\"; allowed: none, healthcheck, status [--json | [--certificate] HOST[/PATH] [METHOD]], --help, --version");
                return UsageError;
        }
    }

    private static async Task<int> ShowStatusAsync(
        string[] request, Func<string, string?> getenv, TextWriter output, TextWriter error)
    {
        if (!Settings.TryRead(getenv, out var settings, out var reason))
        {
            error.WriteLine(reason);
            return UsageError;
        }

        var port = settings.TelemetryPort;
        return await (request switch
        {
            [] => Telemetry.StatusCommand.RunAsync(port, output, error),
            ["--json"] => Telemetry.StatusCommand.PrintJsonAsync(port, output, error),
            ["--certificate", .. var rest] => TryAsync(rest, withCertificate: true),
            _ => TryAsync(request, withCertificate: false),
        }).ConfigureAwait(false);

        Task<int> TryAsync(string[] of, bool withCertificate) => Telemetry.StatusCommand.TryAsync(
            port, of[0], of.Length > 1 ? of[1] : "GET", withCertificate, output, error);
    }

    private static async Task<int> CheckHealthAsync(Func<string, string?> getenv, TextWriter error)
    {
        if (!Settings.TryRead(getenv, out var settings, out var reason))
        {
            error.WriteLine(reason);
            return Failure;
        }

        reason = await Telemetry.HealthCheck.RunAsync(settings.TelemetryPort, HealthCheckDeadline).ConfigureAwait(false);
        if (reason is null)
            return Success;
        error.WriteLine(reason);
        return Failure;
    }
}
