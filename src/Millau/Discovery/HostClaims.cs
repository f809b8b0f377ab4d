using System.Collections.Immutable;
using Millau.Routing;

namespace Millau.Discovery;

/// <summary>
/// Which stack may claim which hosts, where an operator does not trust every author of one: rules such as
/// <c>shop=shop.com *.shop.com; *=*</c>. Off unless set; then a stack without a rule claims nothing.
/// </summary>
internal sealed class HostClaims
{
    public const string Allowed = "rules such as shop=shop.com *.shop.com; *=* (a stack or *, then hosts, *.host or *; ; between rules)";

    // The labels that deployment puts there itself. Each counts for its own kind alone, for the other anybody could write.
    private const string StackLabel = "com.docker.stack.namespace";
    private const string ProjectLabel = "com.docker.compose.project";

    private readonly Dictionary<string, ImmutableArray<string>> _rules = new(StringComparer.Ordinal);

    public static bool TryParse(string text, out HostClaims claims)
    {
        claims = new HostClaims();
        foreach (var rule in text.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var parts = rule.Split('=', 2, StringSplitOptions.TrimEntries);
            if (parts.Length != 2 || parts[0].Length == 0) return false;
            var hosts = parts[1].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (hosts.Length == 0 || !hosts.All(IsPattern)) return false;
            var normal = hosts.Select(h => h.StartsWith("*.", StringComparison.Ordinal)
                ? "*." + HostName.Normalize(h[2..]) : HostName.Normalize(h));
            claims._rules[parts[0]] = [.. claims._rules.GetValueOrDefault(parts[0], []), .. normal];
        }
        return claims._rules.Count > 0;
    }

    /// <summary>The stack that a service belongs to; empty if to none.</summary>
    public static string StackOf(FoundService service)
    {
        var name = service.Origin == ServiceOrigin.Swarm ? StackLabel : ProjectLabel;
        foreach (var (label, value) in service.Labels)
            if (label == name) return value ?? "";
        return "";
    }

    /// <summary>Whether a stack may be routed to for a host, or show a certificate for it.</summary>
    /// <param name="stack">As <see cref="StackOf"/> gives it.</param>
    /// <param name="host">Normal form; <c>*</c>, or <c>*.host</c> of a certificate.</param>
    public bool Permits(string stack, string host)
    {
        foreach (var pattern in Rules(stack))
        {
            if (pattern == HostName.Any || pattern == host) return true;
            // A claim covers the subdomains of its host, and so does a claim beneath the pattern's host.
            if (pattern.StartsWith("*.", StringComparison.Ordinal) && host.EndsWith(pattern.AsSpan(1), StringComparison.Ordinal)) return true;
        }
        return false;
    }

    /// <summary>The reading, or one that is wrong because of hosts that the service's stack may not claim.</summary>
    public LabelReading Check(FoundService service, LabelReading reading)
    {
        if (reading.Labels is not { } labels) return reading;
        var stack = StackOf(service);
        var refused = labels.Hosts.Where(h => !Permits(stack, h)).Select(h => new LabelProblem(
            ServiceLabels.HostsLabel, h, $"what ALLOWED_HOSTS grants the stack {(stack.Length > 0 ? stack : "(none)")}: {Describe(stack)}")).ToImmutableArray();
        return refused.IsEmpty ? reading : reading with { Verdict = LabelVerdict.Wrong, Labels = null, Problems = [.. reading.Problems, .. refused] };
    }

    private ImmutableArray<string> Rules(string stack) =>
        _rules.TryGetValue(stack, out var own) && stack != HostName.Any ? own : _rules.GetValueOrDefault(HostName.Any, []);

    private string Describe(string stack) => Rules(stack) is { IsEmpty: false } hosts ? string.Join(' ', hosts) : "nothing";

    private static bool IsPattern(string host) =>
        HostName.IsValid(host.StartsWith("*.", StringComparison.Ordinal) ? host[2..] : host) && host != "*.*";
}

/// <summary>What one stack may claim.</summary>
internal readonly record struct HostClaim(HostClaims Rules, string Stack)
{
    public bool Permits(string host) => Rules.Permits(Stack, host);
}
