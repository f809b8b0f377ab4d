namespace Millau.Discovery;

/// <summary>Which labels hold certificates and keys, whose values must reach neither a log nor a page.</summary>
internal static class LabelSecrets
{
    public const string Hidden = "(hidden)";

    /// <summary>No label but hosts and path needs more; a key is longer.</summary>
    private const int LongestPlain = 100;

    /// <summary>The value as it may be shown.</summary>
    public static string Shown(string label, string value) => IsSecret(label, value) ? Hidden : value;

    /// <summary>
    /// By name; and of any other name, known or misspelt, what looks like key material. <c>secret:NAME</c> only says where
    /// it is kept, and an empty value says nothing.
    /// </summary>
    public static bool IsSecret(string label, string value)
    {
        if (value.Length == 0 || value.StartsWith("secret:", StringComparison.OrdinalIgnoreCase))
            return false;
        if (Ends(label, "cert") || Ends(label, "key") || Ends(label, "ca"))
            return true;
        return value.Contains("PRIVATE KEY", StringComparison.OrdinalIgnoreCase)
            || (value.Length > LongestPlain && !Ends(label, ".hosts") && !Ends(label, ".path"));
    }

    private static bool Ends(string label, string with) => label.EndsWith(with, StringComparison.OrdinalIgnoreCase);
}
