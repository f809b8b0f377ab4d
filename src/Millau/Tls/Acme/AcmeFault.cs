using System.Collections.Immutable;
using Millau.Discovery;

namespace Millau.Tls.Acme;

/// <summary>Why something was not had from a CA.</summary>
internal enum AcmeFaultKind
{
    /// <summary>No answer: no connection, no trust, or too late.</summary>
    Unreachable,

    /// <summary>An answer that is none of this protocol: a proxy's page, half a JSON, too much of it.</summary>
    Nonsense,

    /// <summary>The CA cannot now, whoever asks: 503, or a 429 that names no limit of ours.</summary>
    Busy,

    /// <summary>A limit of the CA was reached (<c>rateLimited</c>).</summary>
    RateLimited,

    /// <summary>The CA says no, or fails at this one request.</summary>
    Refused,
}

/// <summary>A failure at one name, where the CA says which.</summary>
/// <param name="Type">The problem's type without its prefix, such as <c>dns</c>; empty if there is none.</param>
internal sealed record AcmeNameFault(string Name, string Type, string Text);

/// <summary>A failure of the CA or of the way to it, as a value.</summary>
/// <param name="Text">One line for people; the CA's own words where it said any. Holds nothing that is secret.</param>
internal sealed record AcmeFault(AcmeFaultKind Kind, string Text)
{
    private const string TypePrefix = "urn:ietf:params:acme:error:";
    private const int LongestText = 500;

    /// <summary>The problem's type without its prefix, such as <c>badNonce</c>; empty if there is none.</summary>
    public string Type { get; init; } = "";

    /// <summary>How long the CA wants to be left alone; null if it said nothing.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The names that are at fault, as far as the CA says.</summary>
    public ImmutableArray<AcmeNameFault> Names { get; init; } = [];

    /// <summary>No matter of any name: whoever asks next will fare the same.</summary>
    public bool IsOfCa => Kind is AcmeFaultKind.Unreachable or AcmeFaultKind.Nonsense or AcmeFaultKind.Busy;

    public static AcmeFault Unreachable(string text) => new(AcmeFaultKind.Unreachable, Clean(text));

    public static AcmeFault Nonsense(string text) => new(AcmeFaultKind.Nonsense, Clean(text));

    public static AcmeFault Refused(string text) => new(AcmeFaultKind.Refused, Clean(text));

    /// <summary>What a response other than a good one says.</summary>
    /// <param name="status">The HTTP status.</param>
    /// <param name="problem">Its problem document, if it had one.</param>
    public static AcmeFault Of(int status, ProblemModel? problem, TimeSpan? retryAfter)
    {
        var type = TypeOf(problem);
        var kind = type == "rateLimited" ? AcmeFaultKind.RateLimited
            : status is 429 or 503 ? AcmeFaultKind.Busy
            : problem is null ? AcmeFaultKind.Nonsense
            : AcmeFaultKind.Refused;
        return new AcmeFault(kind, problem is null ? $"status {status}" : TextOf(problem))
        {
            Type = type,
            RetryAfter = retryAfter,
            Names = [.. NamesOf(problem)],
        };
    }

    /// <summary>The problem of one name.</summary>
    public static AcmeNameFault OfName(string name, ProblemModel? problem) =>
        new(name, TypeOf(problem), problem is null ? "the CA gave no reason" : TextOf(problem));

    private static IEnumerable<AcmeNameFault> NamesOf(ProblemModel? problem)
    {
        if (problem?.Identifier?.Value is { } own)
            yield return OfName(own.ToLowerInvariant(), problem);
        foreach (var part in problem?.Subproblems ?? [])
        {
            if (part?.Identifier?.Value is { } name)
                yield return OfName(name.ToLowerInvariant(), part);
        }
    }

    private static string TypeOf(ProblemModel? problem) =>
        problem?.Type is { } type && type.StartsWith(TypePrefix, StringComparison.Ordinal)
            ? Clean(type[TypePrefix.Length..])
            : "";

    private static string TextOf(ProblemModel problem)
    {
        var words = problem.Detail ?? problem.Title ?? problem.Type ?? "the CA gave no reason";
        var type = TypeOf(problem);
        return Clean(type.Length == 0 ? words : $"{type}: {words}");
    }

    private static string Clean(string text) => LogText.Clean(text, LongestText).Replace('"', '\'');
}

/// <summary>A value, or why there is none.</summary>
internal readonly record struct AcmeAnswer<T>(T? Value, AcmeFault? Fault)
    where T : class
{
    public static implicit operator AcmeAnswer<T>(T value) => new(value, null);

    public static implicit operator AcmeAnswer<T>(AcmeFault fault) => new(null, fault);
}
