namespace Millau.Discovery;

/// <summary>Finds out which container this process runs in.</summary>
internal static class OwnContainer
{
    /// <summary>The id, or null outside a container.</summary>
    public static string? FindId()
    {
        try
        {
            return FindId(File.ReadLines("/proc/self/mountinfo"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>
    /// The Engine mounts <c>…/containers/&lt;64 hex&gt;/hostname</c> at <c>/etc/hostname</c>. The fourth field of a line
    /// is the source, the fifth the mount point; the host name itself may have been set to anything.
    /// </summary>
    public static string? FindId(IEnumerable<string> mountInfo)
    {
        foreach (var line in mountInfo)
        {
            var fields = line.Split(' ');
            if (fields.Length < 5 || fields[4] != "/etc/hostname")
                continue;
            var parts = fields[3].Split('/');
            if (parts.Length >= 3 && parts[^1] == "hostname" && parts[^3] == "containers" && parts[^2].Length == 64
                && parts[^2].All(char.IsAsciiHexDigitLower))
                return parts[^2];
        }

        return null;
    }
}
