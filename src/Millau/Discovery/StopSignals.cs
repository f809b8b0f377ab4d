using System.Globalization;

namespace Millau.Discovery;

/// <summary>Which signals of a <c>kill</c> event mean that the container is to end.</summary>
internal static class StopSignals
{
    private const int RealTimeMinimum = 34;

    private static readonly string[] Names =
    [
        "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ];

    /// <summary>INT, QUIT, KILL and TERM: whatever the image says, these are sent to end a process.</summary>
    public static bool EndsAnyContainer(int signal) => signal is 2 or 3 or 9 or 15;

    /// <summary>The number of <c>15</c>, <c>TERM</c>, <c>SIGTERM</c> or <c>SIGRTMIN+3</c>; 0 if it is none.</summary>
    public static int Parse(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return 0;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            return number;
        var name = text.StartsWith("SIG", StringComparison.OrdinalIgnoreCase) ? text[3..] : text;
        if (name.StartsWith("RTMIN", StringComparison.OrdinalIgnoreCase))
            return name.Length == 5 ? RealTimeMinimum
                : int.TryParse(name.AsSpan(5), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var n)
                    ? RealTimeMinimum + n
                    : 0;
        for (var i = 1; i < Names.Length; i++)
        {
            if (Names[i].Equals(name, StringComparison.OrdinalIgnoreCase))
                return i;
        }

        return 0;
    }
}
