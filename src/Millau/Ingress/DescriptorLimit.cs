using System.Globalization;

namespace Millau.Ingress;

/// <summary>The process's limit of open files, which bounds its connections.</summary>
internal static class DescriptorLimit
{
    // Listeners, the Engine, telemetry, files, the runtime's own.
    private const int Reserve = 64;
    private const int Otherwise = 10_000;
    private const int AtMost = 100_000;

    /// <summary>
    /// Clients that can be served with it: each needs a descriptor of its own and one to an instance. Beyond that accepting would
    /// fail over and over.
    /// </summary>
    public static int Connections() => Connections(Read());

    /// <inheritdoc cref="Connections()"/>
    public static int Connections(long? descriptors) =>
        descriptors is { } limit ? (int)Math.Clamp((limit - Reserve) / 2, 16, AtMost) : Otherwise;

    // The runtime raises the soft limit to the hard one at its start; what is in force is in this file. Null where there is none.
    private static long? Read()
    {
        try
        {
            foreach (var line in File.ReadLines("/proc/self/limits"))
            {
                if (!line.StartsWith("Max open files", StringComparison.Ordinal)) continue;
                var soft = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3];
                return soft == "unlimited" ? long.MaxValue : long.Parse(soft, CultureInfo.InvariantCulture);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or IndexOutOfRangeException)
        {
            // Another system, or another form.
        }
        return null;
    }
}
