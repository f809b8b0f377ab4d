using System.Collections.Immutable;

namespace Millau.Discovery;

/// <summary>
/// What is wrong with a service as far as its deployment tells, in words, each with what to change. Pure. Whether its
/// instances answer is known elsewhere.
/// </summary>
internal static class Diagnosis
{
    /// <summary>Codes of those that do not ask to be routed.</summary>
    public const string NoLabels = "no-labels";
    public const string Disabled = "disabled";

    /// <summary>Everything there is to say, the worst first.</summary>
    /// <param name="found">The service as Docker shows it.</param>
    /// <param name="reading">What its labels say.</param>
    /// <param name="isRouted">A route leads to it, though perhaps to nobody.</param>
    /// <param name="instances">How many instances are known that can be reached.</param>
    /// <param name="noNetwork">Its networks and Millau's, if they share none.</param>
    /// <param name="own">Why an instance of it is Millau itself; empty if none is.</param>
    public static ImmutableArray<Problem> Of(
        FoundService found, LabelReading reading, bool isRouted, int instances, (string Its, string Ours)? noNetwork,
        string own = "")
    {
        var problems = new List<Problem>();
        Labels(found, reading, isRouted, problems);
        if (own.Length > 0)
            problems.Add(new("millau-itself", ProblemSeverity.Error, Sentence("It leads to Millau itself: " + own),
                "Remove the labels, or let the service listen on another port."));
        if (noNetwork is var (its, ours))
            problems.Add(NoSharedNetwork(its, ours, isRouted && instances > 0));
        else if (isRouted && !found.IsRemoved)
            Instances(found, instances, problems);
        return [.. problems.OrderByDescending(p => p.Severity)];
    }

    /// <summary>Known for a while only.</summary>
    public static readonly Problem Removed = new(
        "removed", ProblemSeverity.Info, "It was removed from Docker, and is known for some minutes yet.", "");

    private static void Labels(FoundService found, LabelReading reading, bool isRouted, List<Problem> problems)
    {
        var isSwarm = found.Origin == ServiceOrigin.Swarm;
        var place = isSwarm ? "under deploy.labels" : "to its labels";
        if (found.Notice.Length > 0)
        {
            problems.Add(isSwarm
                ? new("labels-on-containers", isRouted ? ProblemSeverity.Warning : ProblemSeverity.Error,
                    $"Set on the containers, where a Swarm does not look: {Names(found.Notice)}.",
                    "In the stack file, move them from labels: to deploy.labels: and deploy again.")
                : new("labels-differ", ProblemSeverity.Warning, Sentence(found.Notice),
                    "Recreate the containers, so that all have the same labels."));
        }
        else if (!reading.HasAny)
        {
            problems.Add(new(NoLabels, ProblemSeverity.Info, "It has no millau labels, so it does not ask to be routed.",
                $"To route it, add millau.enabled=true and millau.port={PortHint(found) ?? "PORT"} {place}."));
        }

        if (reading is { Verdict: LabelVerdict.Off, HasAny: true })
            problems.Add(Off(reading, place));
        foreach (var problem in reading.Problems)
            problems.Add(OfLabel(problem, found, isRouted, reading.Verdict));
    }

    private static Problem Off(LabelReading reading, string place) => reading.IsDisabled
        ? new(Disabled, ProblemSeverity.Info, "millau.enabled is false.", "Set millau.enabled=true to route it.")
        : new("not-enabled", ProblemSeverity.Warning, "It has millau labels, but not millau.enabled=true.",
            $"Add millau.enabled=true {place}.");

    private static Problem OfLabel(LabelProblem problem, FoundService found, bool isRouted, LabelVerdict verdict)
    {
        var kept = isRouted ? " Its last good routing is kept." : "";
        var severity = isRouted || verdict == LabelVerdict.Off ? ProblemSeverity.Warning : ProblemSeverity.Error;
        var label = LogText.Clean(problem.Label);
        var value = LogText.Clean(LabelSecrets.Shown(problem.Label, problem.Value));
        if (problem.Nearest is { } nearest)
            return new("unknown-label", severity, $"There is no label {label}.{kept}",
                $"Did you mean {nearest}? Rename it, or remove it.");
        if (!problem.IsMissing)
            return new("bad-value", severity, $"{label}=\"{value}\" is not allowed.{kept}", $"Allowed: {problem.Allowed}.");
        return problem.Label == ServiceLabels.PortLabel
            ? new("port-missing", severity, $"millau.port is not set.{kept}",
                $"Set millau.port={PortHint(found) ?? "PORT"}: the port that the app listens on in its container.")
            : new("label-missing", severity, $"{label} is not set.{kept}", $"Allowed: {problem.Allowed}.");
    }

    private static Problem NoSharedNetwork(string its, string ours, bool hasOthers) => new(
        "no-shared-network",
        hasOthers ? ProblemSeverity.Warning : ProblemSeverity.Error,
        (its, ours) switch
        {
            ("none", "none") => "Neither it nor Millau is on any network that they could share.",
            ("none", _) => $"It is on no network that Millau could reach; Millau reaches {ours}.",
            (_, "none") => $"It is on {its}, and Millau is on no network at all.",
            _ => $"It shares no network with Millau: it is on {its}, Millau reaches {ours}.",
        },
        ours == "none"
            ? "Put both on one network, such as an attachable overlay network made for it."
            : $"Put the service on a network of Millau's ({ours}){(its == "none" ? "" : $", or Millau on one of its ({its})")}.");

    private static void Instances(FoundService found, int instances, List<Problem> problems)
    {
        var unhealthy = found.Instances.Where(i => i.IsUnhealthy).Select(i => i.Name).ToList();
        if (unhealthy.Count > 0)
            problems.Add(new("unhealthy",
                unhealthy.Count == instances ? ProblemSeverity.Error : ProblemSeverity.Warning,
                $"Docker finds {string.Join(", ", unhealthy)} unhealthy: used only while no other instance can serve.",
                "Look at what the health check says: docker inspect -f '{{json .State.Health}}' CONTAINER"));
        var docker = found.TaskError.Length == 0 ? "" : $" Docker says: {Sentence(LogText.Clean(found.TaskError))}";
        if (instances == 0)
            problems.Add(NoInstance(found, docker));
        else if (docker.Length > 0 && found.Wanted > (ulong)instances)
            problems.Add(new("cannot-start", ProblemSeverity.Warning, $"{instances} of {found.Wanted} instances run.{docker}",
                $"Look at docker service ps --no-trunc {found.Name}"));
    }

    private static Problem NoInstance(FoundService found, string docker)
    {
        var isSwarm = found.Origin == ServiceOrigin.Swarm;
        var look = isSwarm ? $"docker service ps --no-trunc {found.Name}" : $"docker ps --all, and docker logs {found.Name}";
        if (isSwarm && found.Wanted == 0)
            return new("scaled-to-zero", ProblemSeverity.Warning, "It is scaled to 0, so nobody answers for it.",
                $"docker service scale {found.Name}=1");
        if (found.TaskError.Contains("unhealthy", StringComparison.OrdinalIgnoreCase))
            return new("unhealthy", ProblemSeverity.Error, $"Its instances do not become healthy.{docker}",
                $"Look at what the health check says: {look}");
        if (found.IsStarting && docker.Length == 0)
            return new("starting", ProblemSeverity.Warning, "An instance is on its way up, none runs yet; requests wait up to 10 s.",
                $"If this lasts, look at {look}");
        return docker.Length > 0
            ? new("cannot-start", ProblemSeverity.Error,
                $"None of its instances runs{(found.IsStarting ? "; another is on its way up" : "")}.{docker}", $"Look at {look}")
            : new("no-instance", ProblemSeverity.Error,
                isSwarm ? "None of its instances runs." : "None of its containers runs.", $"Look at {look}");
    }

    private static string? PortHint(FoundService found) =>
        found.ExposedPorts.Length == 1 ? $"{found.ExposedPorts[0]}" : null;

    /// <summary>The labels that a notice names.</summary>
    private static string Names(string notice) => notice.IndexOf(':') is > 0 and var end ? notice[..end] : notice;

    private static string Sentence(string text) => text is [.., '.'] ? text : text + ".";
}
