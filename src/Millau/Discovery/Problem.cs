namespace Millau.Discovery;

/// <summary>Something that is not as it should be, told to people: what it is, and what to change.</summary>
/// <param name="Code">A stable name, for programs; all are listed in docs/status.md.</param>
/// <param name="Severity">How bad it is.</param>
/// <param name="Text">One or two sentences. May hold foreign text, so it is never markup.</param>
/// <param name="Advice">What to change; empty if there is nothing to do.</param>
internal sealed record Problem(string Code, ProblemSeverity Severity, string Text, string Advice);

internal enum ProblemSeverity
{
    /// <summary>As it was asked for, but worth knowing.</summary>
    Info,

    /// <summary>It works, but not as it was meant.</summary>
    Warning,

    /// <summary>It was asked for and does not work.</summary>
    Error,
}
