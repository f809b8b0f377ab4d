using System.Text.RegularExpressions;

namespace Millau.Tests.Transport;

public class UnsafeCodeTests
{
    [Fact]
    public void Unsafe_code_is_in_the_transport_alone()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "Millau.slnx"))) directory = Path.GetDirectoryName(directory)!;
        var source = Path.Combine(directory, "src", "Millau");
        var files = Directory.GetFiles(source, "*.cs", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(source, f))
            .Where(f => !f.StartsWith("obj", StringComparison.Ordinal) && !f.StartsWith("bin", StringComparison.Ordinal))
            .Where(f => Regex.IsMatch(File.ReadAllText(Path.Combine(source, f)), @"\bunsafe\b"))
            .ToList();

        Assert.NotEmpty(files);
        Assert.All(files, f => Assert.StartsWith("Transport", f));
    }
}
