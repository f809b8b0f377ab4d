using System.Collections.Immutable;
using System.Globalization;
using Millau.Routing;

namespace Millau.Discovery;

/// <summary>What the <c>millau.*</c> labels of one service ask for; checked.</summary>
internal sealed record ServiceLabels(
    ImmutableArray<string> Hosts, string Path, int Port, TimeSpan Timeout, TimeSpan Retry)
{
    public const string Prefix = "millau.";

    private const string Enabled = "millau.enabled";
    public const string PortLabel = "millau.port";
    public const string HostsLabel = "millau.hosts";
    private const string PathLabel = "millau.path";
    private const string TimeoutLabel = "millau.timeout";
    private const string RetryLabel = "millau.retry";
    private const string Cert = "millau.cert";
    private const string Key = "millau.key";
    private const string RedirectLabel = "millau.redirect";

    private const string SecondsAllowed = "seconds above 0 up to 86400, such as 30 or 0.5";

    private static readonly string[] Known =
        [Enabled, PortLabel, HostsLabel, PathLabel, TimeoutLabel, RetryLabel, Cert, Key, RedirectLabel, .. TlsLabels.Known];

    private static readonly ImmutableArray<string> AnyHost = [HostName.Any];

    /// <summary>Plain requests are sent to https.</summary>
    public bool RedirectsToHttps { get; init; }

    public TlsLabels Tls { get; init; } = TlsLabels.None;

    public bool Equals(ServiceLabels? other) =>
        other is not null && Port == other.Port && RedirectsToHttps == other.RedirectsToHttps && Tls == other.Tls && Path == other.Path && Timeout == other.Timeout
        && Retry == other.Retry && Hosts.AsSpan().SequenceEqual(other.Hosts.AsSpan());

    public override int GetHashCode() => HashCode.Combine(Hosts.Length, Path, Port, Timeout, Retry);

    /// <summary>For the log.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"hosts={string.Join(',', Hosts)} path={Path} port={Port} timeout={Timeout.TotalSeconds:0.###}s retry={Retry.TotalSeconds:0.###}s{(RedirectsToHttps ? " redirect=https" : "")}{Tls}");

    public static bool IsMillau(string label) => label.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// Reads the labels of one service; those of others are passed over. Never throws. Every mistake is found, also in
    /// a service that is not enabled: a misspelt <c>millau.enabled</c> looks just like that.
    /// </summary>
    public static LabelReading Read(IEnumerable<KeyValuePair<string, string?>> labels)
    {
        var values = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var problems = ImmutableArray.CreateBuilder<LabelProblem>();
        // Sorted, so that of two spellings of one name the same one wins whatever order the Engine lists them in.
        foreach (var (name, raw) in labels.Where(l => IsMillau(l.Key)).OrderBy(l => l.Key, StringComparer.Ordinal))
        {
            var value = (raw ?? "").Trim();
            if (!Known.Contains(name, StringComparer.OrdinalIgnoreCase))
                problems.Add(new(
                    name, LabelSecrets.Shown(name, value), $"{string.Join(", ", Known)}; did you mean {Nearest(name)}?")
                {
                    Nearest = Nearest(name),
                });
            else if (!values.TryAdd(name, value) && values[name] != value)
                problems.Add(new(name, Shown(name, value), "one value; letter case makes no second label"));
        }

        var enabled = false;
        if (values.TryGetValue(Enabled, out var text) && !bool.TryParse(text, out enabled))
            problems.Add(new(Enabled, text, "true or false"));
        var isOff = !enabled && !problems.Any(p => p.Label.Equals(Enabled, StringComparison.OrdinalIgnoreCase));
        var hosts = ReadHosts(values, problems);
        var result = new ServiceLabels(
            hosts,
            ReadPath(values, problems),
            ReadPort(values, isOff, problems),
            ReadSeconds(values, TimeoutLabel, 30, problems),
            ReadSeconds(values, RetryLabel, 60, problems))
        {
            RedirectsToHttps = ReadRedirect(values, problems),
            Tls = TlsLabels.Read(values, hosts, isOff, problems),
        };
        var hasWholePair = CheckPair(values, problems);
        var verdict = isOff ? LabelVerdict.Off : problems.Count > 0 ? LabelVerdict.Wrong : LabelVerdict.Good;
        return new(verdict, verdict == LabelVerdict.Good ? result : null, problems.ToImmutable(),
            values.Count > 0 || problems.Count > 0)
        {
            Certificate = hasWholePair ? (values[Cert], values[Key]) : null,
            IsDisabled = isOff && values.ContainsKey(Enabled),
        };
    }

    private static int ReadPort(
        Dictionary<string, string> values, bool isOff, ImmutableArray<LabelProblem>.Builder problems)
    {
        if (!values.TryGetValue(PortLabel, out var text))
        {
            if (!isOff)
                problems.Add(new(PortLabel, LabelProblem.NotSet, "1 to 65535; required"));
            return 0;
        }

        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536)
            return port;
        problems.Add(new(PortLabel, text, "1 to 65535"));
        return 0;
    }

    private static ImmutableArray<string> ReadHosts(
        Dictionary<string, string> values, ImmutableArray<LabelProblem>.Builder problems)
    {
        if (!values.TryGetValue(HostsLabel, out var text))
            return AnyHost;
        var names = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (names.Length == 0)
            problems.Add(new(HostsLabel, text, "host names separated by spaces, or *"));
        var hosts = ImmutableArray.CreateBuilder<string>(names.Length);
        foreach (var name in names)
        {
            if (!HostName.IsValid(name))
                problems.Add(new(HostsLabel, name, HostName.Allowed + HostHint(name)));
            else if (HostName.Normalize(name) is var normal && !hosts.Contains(normal))
                hosts.Add(normal);
        }

        return hosts.ToImmutable();
    }

    private static string HostHint(string name) =>
        name.StartsWith("*.", StringComparison.Ordinal) && HostName.IsValid(name[2..])
            ? $"; {name[2..]} covers its subdomains too"
            : name.Contains(',') ? "; several are separated by spaces" : "";

    private static string ReadPath(
        Dictionary<string, string> values, ImmutableArray<LabelProblem>.Builder problems)
    {
        if (!values.TryGetValue(PathLabel, out var text))
            return "/";
        if (PathPrefix.IsValid(text))
            return PathPrefix.Decode(text);
        problems.Add(new(PathLabel, text, PathPrefix.Allowed));
        return "/";
    }

    /// <summary>Decimals are allowed; 0 is not, for it would make every attempt late, or a failure unnoticed.</summary>
    private static TimeSpan ReadSeconds(
        Dictionary<string, string> values, string label, int otherwise,
        ImmutableArray<LabelProblem>.Builder problems)
    {
        if (!values.TryGetValue(label, out var text))
            return TimeSpan.FromSeconds(otherwise);
        if (decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds)
            && seconds is >= 0.001m and <= 86400)
            return TimeSpan.FromTicks((long)(seconds * TimeSpan.TicksPerSecond));
        problems.Add(new(label, text, SecondsAllowed));
        return TimeSpan.FromSeconds(otherwise);
    }

    private static bool ReadRedirect(
        Dictionary<string, string> values, ImmutableArray<LabelProblem>.Builder problems)
    {
        if (!values.TryGetValue(RedirectLabel, out var text))
            return false;
        if (text.Equals("https", StringComparison.OrdinalIgnoreCase))
            return true;
        problems.Add(new(RedirectLabel, text, "https"));
        return false;
    }

    /// <returns>Whether there is a certificate with its key.</returns>
    private static bool CheckPair(
        Dictionary<string, string> values, ImmutableArray<LabelProblem>.Builder problems)
    {
        var hasCert = values.GetValueOrDefault(Cert, "").Length > 0;
        var hasKey = values.GetValueOrDefault(Key, "").Length > 0;
        if (hasCert != hasKey)
            problems.Add(new(hasCert ? Key : Cert, LabelProblem.NotSet,
                $"{Cert} and {Key} together; {(hasCert ? Cert : Key)} alone is of no use"));
        return hasCert && hasKey;
    }

    /// <summary>A private key must never reach a log.</summary>
    private static string Shown(string label, string value) =>
        IsOfPair(label) || TlsLabels.IsHidden(label) ? "(hidden)" : value;

    internal static bool IsOfPair(string label) =>
        label.Equals(Cert, StringComparison.OrdinalIgnoreCase) || label.Equals(Key, StringComparison.OrdinalIgnoreCase);

    private static string Nearest(string name)
    {
        // A name of any length may come; the known ones are short.
        var lower = name.Length > 40 ? name[..40].ToLowerInvariant() : name.ToLowerInvariant();
        return Known.MinBy(known => EditDistance(lower, known))!;
    }

    private static int EditDistance(string a, string b)
    {
        Span<int> row = stackalloc int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++)
            row[j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var above = row[j];
                row[j] = Math.Min(Math.Min(above, row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }

        return row[b.Length];
    }
}

/// <summary>What came of reading the labels of one service.</summary>
/// <param name="Verdict">Whether to route.</param>
/// <param name="Labels">Set when the verdict is good.</param>
/// <param name="Problems">Every mistake; there may be some in a service that is off.</param>
/// <param name="HasAny">Whether there is any <c>millau.*</c> label.</param>
internal sealed record LabelReading(
    LabelVerdict Verdict, ServiceLabels? Labels, ImmutableArray<LabelProblem> Problems, bool HasAny)
{
    /// <summary>The certificate and its key as they stand in the labels, whatever the verdict; null without a whole pair.</summary>
    public (string Certificate, string Key)? Certificate { get; init; }

    /// <summary>A certificate is wanted, but half of it is missing: what was there last stays in force.</summary>
    public bool HasHalfPair => Certificate is null && Problems.Any(p => ServiceLabels.IsOfPair(p.Label));

    /// <summary>Without the key.</summary>
    public override string ToString() => $"{Verdict} {Labels}";

    /// <summary><c>millau.enabled</c> is there and says no.</summary>
    public bool IsDisabled { get; init; }
}

internal enum LabelVerdict
{
    /// <summary>Does not ask to be routed.</summary>
    Off,

    /// <summary>Asks, and everything is right.</summary>
    Good,

    /// <summary>Asks, but with a mistake: what was good last stays in force.</summary>
    Wrong,
}

/// <summary>One mistake in the labels of a service.</summary>
/// <param name="Label">The label's name as written.</param>
/// <param name="Value">Its value, or that it is not set; never a private key.</param>
/// <param name="Allowed">What would be right.</param>
internal readonly record struct LabelProblem(string Label, string Value, string Allowed)
{
    /// <summary>The value of a label that is missing.</summary>
    public const string NotSet = "(not set)";

    /// <summary>There is no such label, and this is the one most like it; else null.</summary>
    public string? Nearest { get; init; }

    public bool IsMissing => Value == NotSet;
}
