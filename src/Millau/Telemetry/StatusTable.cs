using System.Globalization;

namespace Millau.Telemetry;

/// <summary>The status, and the way of a request, as text for a terminal: what is wrong comes first.</summary>
internal static class StatusTable
{
    public static void Write(StatusReport report, TextWriter output)
    {
        var engine = report.Engine;
        output.WriteLine($"Millau {report.Millau.Version} on {Clean(report.Millau.HostName)}: {report.Status} since {Time(report.Since)}");
        output.WriteLine($"ports    {string.Join(", ", report.Millau.Ports.Select(p => $"{p.Protocol} :{p.Port}"))}");
        output.WriteLine($"networks {Clean(report.Millau.Networks)}");
        output.WriteLine(Clean($"engine   {engine.Address} {(engine.Reachable ? "reachable" : "unreachable")}"
            + (engine.Since is { } since ? $" since {Time(since)}" : "")
            + (engine.Server.Length > 0 ? $", {engine.Server}, API {engine.ApiVersion}" : "")));
        if (report.Millau.WaitingRequests > 0)
            output.WriteLine($"waiting  {report.Millau.WaitingRequests} requests wait for an instance on its way up");

        WriteProblems(report, output);
        WriteServices(report, output);
        WriteInstances(report, output);
        WriteCertificates(report, output);
    }

    public static void Write(TrialReport trial, TextWriter output)
    {
        output.WriteLine(Clean($"{trial.Request.Method} {trial.Request.Scheme}://{trial.Request.Host}{trial.Request.Path}{(trial.Request.Certificate ? " with a client certificate" : "")}"));
        output.WriteLine(Clean($"=> {trial.Text}"));
        foreach (var hint in trial.Hints)
            output.WriteLine(Clean($"!! {hint}"));
        if (trial.Outcome == TrialOutcomes.Refused)
            return;

        output.WriteLine();
        var hosts = new TextTable("HOST", "ROUTED PATHS", "MATCH");
        foreach (var host in trial.Hosts)
            hosts.Add(host.Name, host.Paths.IsEmpty ? "-" : string.Join(' ', host.Paths),
                host.Matched ?? (host.Paths.IsEmpty ? "no such host" : "no such path"));
        hosts.WriteTo(output);
        foreach (var route in trial.Routes)
        {
            output.WriteLine();
            output.WriteLine(Clean($"route {route.Host}{route.Path}: {string.Join(", ", route.Services)}"));
            output.WriteLine(Clean($"  {route.Text}"));
            foreach (var instance in route.Instances)
                output.WriteLine(Clean($"  {(instance.Usable ? "+" : "-")} {instance.Name} {instance.Address} {instance.State}: {instance.Text}"));
        }
    }

    private static void WriteProblems(StatusReport report, TextWriter output)
    {
        var all = report.Problems.Select(p => (Of: "Millau", Problem: p))
            .Concat(report.Services.SelectMany(s => s.Problems.Select(p => (Of: s.Name, Problem: p))))
            .Where(p => p.Problem.Severity != "info")
            .OrderBy(p => p.Problem.Severity == "error" ? 0 : 1).ToList();
        if (all.Count == 0)
            return;
        output.WriteLine();
        output.WriteLine("PROBLEMS");
        foreach (var (of, problem) in all)
        {
            output.WriteLine(Clean($"{problem.Severity,-7}  {of}: {problem.Text} [{problem.Code}]"));
            if (problem.Advice.Length > 0)
                output.WriteLine(Clean($"         -> {problem.Advice}"));
        }
    }

    private static void WriteServices(StatusReport report, TextWriter output)
    {
        var table = new TextTable("SERVICE", "STATE", "READY", "HOSTS", "PATH", "PORT", "IN FLIGHT");
        foreach (var service in report.Services)
        {
            var routing = service.Routing;
            table.Add(
                routing?.Service ?? service.Name,
                service.State,
                routing is null ? "-" : $"{service.Ready}/{service.Wanted ?? (ulong)service.Instances.Length}",
                routing is null ? "-" : string.Join(' ', routing.Hosts),
                routing?.Path ?? "-",
                routing?.Port is { } port ? $"{port}" : "-",
                routing is null ? "-" : $"{service.InFlight}");
        }

        output.WriteLine();
        table.WriteTo(output);
        if (report.Services.IsEmpty)
            output.WriteLine("no services are seen");
    }

    private static void WriteInstances(StatusReport report, TextWriter output)
    {
        var table = new TextTable("INSTANCE", "ADDRESS", "STATE", "IN FLIGHT", "ANSWERS", "FAILURES", "LATENCY", "LAST FAILURE");
        foreach (var instance in report.Services.SelectMany(s => s.Instances))
        {
            table.Add(
                instance.Name,
                instance.Address,
                instance.LeftOutUntil is { } until ? $"{instance.State} until {Time(until)}" : instance.State,
                $"{instance.InFlight}",
                $"{instance.Answers}",
                $"{instance.Failures}",
                instance.LatencyMilliseconds is { } latency ? string.Create(CultureInfo.InvariantCulture, $"{latency:0.0} ms") : "-",
                instance.LastFailure is { } failure ? $"{Time(instance.LastFailureAt!.Value)} {failure}" : "-");
        }

        output.WriteLine();
        table.WriteTo(output);
    }

    private static void WriteCertificates(StatusReport report, TextWriter output)
    {
        var table = new TextTable("CERTIFICATE", "SERVICE", "NAMES", "EXPIRES", "PROBLEM");
        foreach (var certificate in report.Certificates)
        {
            table.Add(
                certificate.Source,
                certificate.Service.Length > 0 ? certificate.Service : "-",
                certificate.Names.IsEmpty ? "-" : string.Join(' ', certificate.Names),
                certificate.NotAfter is { } end ? Time(end) : "-",
                certificate.Problem.Length > 0 ? certificate.Problem : "-");
        }

        output.WriteLine();
        table.WriteTo(output);
    }

    private static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private static string Clean(string text) => TextTable.Printable(text);
}
