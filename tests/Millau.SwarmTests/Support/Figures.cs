using System.Globalization;

namespace Millau.SwarmTests.Support;

/// <summary>What the tests measured, written where ./test prints it as a table at the end.</summary>
internal static class Figures
{
    private static readonly Lock Gate = new();
    private static readonly string File = Path.Combine(Lab.Root, "artifacts", "swarm-figures.txt");

    public static void Add(string what, string value)
    {
        lock (Gate)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(File)!);
            System.IO.File.AppendAllText(File, $"{what}\t{value}\n");
        }
    }

    public static void Add(string what, TimeSpan time) =>
        Add(what, string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:F0} ms"));
}
