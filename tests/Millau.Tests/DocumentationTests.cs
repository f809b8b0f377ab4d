using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;

namespace Millau.Tests;

/// <summary>What the documentation must not forget when the code changes.</summary>
public class DocumentationTests
{
    private static readonly string Root = Repository.Root;

    [Fact]
    public void Each_curl_line_of_a_stack_file_is_in_the_README()
    {
        var readme = CurlLines(Read("README.md")).ToHashSet();
        var deployed = Directory.GetFiles(Path.Combine(Root, "deploy"), "*.yml").SelectMany(f => CurlLines(File.ReadAllText(f))).ToList();
        Assert.NotEmpty(deployed);
        Assert.All(deployed, line => Assert.Contains(line, readme));
    }

    [Fact]
    public void Each_message_that_asks_for_somebody_is_explained()
    {
        var operations = Read("docs/operations.md");
        var messages = typeof(Log).GetMethods(BindingFlags.Static | BindingFlags.Public)
            .Select(m => m.GetCustomAttribute<LoggerMessageAttribute>())
            .Where(m => m is { Level: >= LogLevel.Warning })
            .Select(m => Beginning(m!.Message!))
            .Where(m => m.Length > 0)
            .ToList();
        Assert.NotEmpty(messages);
        Assert.All(messages, message => Assert.Contains("`" + message, operations));
    }

    [Fact]
    public void The_page_on_TLS_has_all_labels_settings_and_messages_of_its_area()
    {
        var page = Read("docs/tls.md");
        var labels = typeof(Millau.Discovery.TlsLabels).GetFields(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public)
            .Where(f => f.IsLiteral && f.FieldType == typeof(string))
            .Select(f => (string)f.GetRawConstantValue()!)
            .Where(label => label.StartsWith("millau.", StringComparison.Ordinal)).ToList();
        var settings = typeof(Settings).GetFields(BindingFlags.Static | BindingFlags.Public)
            .Where(f => f.IsLiteral && (f.Name.StartsWith("Acme", StringComparison.Ordinal) || f.Name.StartsWith("Https", StringComparison.Ordinal)))
            .Select(f => (string)f.GetRawConstantValue()!).ToList();
        var messages = typeof(Log).GetMethods(BindingFlags.Static | BindingFlags.Public)
            .Select(m => m.GetCustomAttribute<LoggerMessageAttribute>())
            .Where(m => m is { EventId: >= 700 and < 900, Level: >= LogLevel.Information })
            .Select(m => Beginning(m!.Message!)).ToList();
        Assert.True(labels.Count >= 6 && settings.Count >= 9 && messages.Count >= 20);
        Assert.All([.. labels, .. settings, "millau.cert", "millau.key", "millau.redirect"], name => Assert.Contains($"`{name}`", page));
        Assert.All(messages, message => Assert.Contains("`" + message, page));
    }

    [Fact]
    public void Each_setting_is_in_the_README()
    {
        var readme = Read("README.md");
        var names = typeof(Settings).GetFields(BindingFlags.Static | BindingFlags.Public)
            .Where(f => f.IsLiteral && f.Name.EndsWith("Name", StringComparison.Ordinal))
            .Select(f => (string)f.GetRawConstantValue()!)
            .ToList();
        Assert.NotEmpty(names);
        Assert.All(names, name => Assert.Contains($"`{name}`", readme));
    }

    [Fact]
    public void Each_test_that_the_hostile_table_names_exists_and_each_listed_row_is_in_it()
    {
        var page = Read("docs/hostile.md");
        var rows = Regex.Matches(page, @"^\| (\d+) \|.*\| ([^|]*) \|$", RegexOptions.Multiline);
        foreach (Match row in rows)
        {
            var names = Regex.Matches(row.Groups[2].Value, "`([^`]+)`");
            Assert.NotEmpty(names);
            foreach (Match name in names)
            {
                var parts = name.Groups[1].Value.Split('.');
                var type = Assert.Single(typeof(DocumentationTests).Assembly.GetTypes(), t => t.Name == parts[0]);
                if (parts.Length > 1) Assert.NotNull(type.GetMethod(parts[1]));
            }
        }
        var numbers = rows.Select(m => int.Parse(m.Groups[1].Value)).ToHashSet();
        var listed = Shared.HostileRequests.All.Select(r => r.Row).Concat(Shared.HarmlessRequests.All.Select(r => r.Row))
            .Concat(Shared.HostileResponses.All.Select(r => r.Row));
        Assert.All(listed, row => Assert.Contains(row, numbers));
    }

    [Fact]
    public void Each_fault_names_what_shows_it_and_that_exists()
    {
        // Tests of all suites, so by their source.
        var sources = Directory.GetFiles(Path.Combine(Root, "tests"), "*.cs", SearchOption.AllDirectories).Select(File.ReadAllText).ToList();
        var page = Read("docs/faults.md");
        var rows = Regex.Matches(page[..page.IndexOf("## Figures", StringComparison.Ordinal)], @"^\| [^|-][^|]*\|[^|]*\| ([^|]*) \|$", RegexOptions.Multiline);
        Assert.True(rows.Count > 30, $"{rows.Count}");
        foreach (var shown in rows.Select(r => r.Groups[1].Value).Where(shown => shown != "shown by"))
        {
            var names = Regex.Matches(shown, @"`([A-Z]\w+)(?:\.(\w+))?`");
            Assert.NotEmpty(names);
            Assert.All(names, name => Assert.Contains(sources, text =>
                Regex.IsMatch(text, $@"\bclass {name.Groups[1].Value}\b") && text.Contains(name.Groups[2].Value, StringComparison.Ordinal)));
        }
    }

    [Fact]
    public void Each_test_that_a_page_names_exists()
    {
        var sources = Directory.GetFiles(Path.Combine(Root, "tests"), "*.cs", SearchOption.AllDirectories).Select(File.ReadAllText).ToList();
        var names = Directory.GetFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories)
            .SelectMany(page => Regex.Matches(File.ReadAllText(page), @"`(\w+Tests)(?:\.(\w+))?`")).DistinctBy(m => m.Value).ToList();
        Assert.NotEmpty(names);
        Assert.All(names, name => Assert.Contains(sources, text =>
            Regex.IsMatch(text, $@"\bclass {name.Groups[1].Value}\b") && text.Contains(name.Groups[2].Value, StringComparison.Ordinal)));
    }

    [Fact]
    public void Each_metric_is_explained_and_each_that_is_explained_exists()
    {
        const string name = "(?:millau|process|dotnet)_[a-z_]+";
        var made = Directory.GetFiles(Path.Combine(Root, "src"), "*.cs", SearchOption.AllDirectories)
            .SelectMany(f => Regex.Matches(File.ReadAllText(f), $"\"({name})\"").Select(m => m.Groups[1].Value)).ToHashSet();
        var explained = Regex.Matches(Read("docs/metrics.md"), $"`({name})`").Select(m => m.Groups[1].Value).ToHashSet();
        Assert.NotEmpty(made);
        Assert.Equal(made.Order(), explained.Order());
    }

    [Fact]
    public void Each_link_leads_to_a_file()
    {
        var pages = Directory.GetFiles(Path.Combine(Root, "docs"), "*.md").Append(Path.Combine(Root, "README.md"));
        var links = pages.SelectMany(page => Regex.Matches(File.ReadAllText(page), @"\]\((?!https?:)([^)#]+)[^)]*\)")
            .Select(m => Path.Combine(Path.GetDirectoryName(page)!, m.Groups[1].Value))).ToList();
        Assert.NotEmpty(links);
        Assert.All(links, link => Assert.True(File.Exists(link), link));
    }

    /// <summary>The words before the first value.</summary>
    private static string Beginning(string message) => string.Join(' ',
        message.Split('{', ':', ',')[0].Split(' ', StringSplitOptions.RemoveEmptyEntries).Where(word => !word.Contains('=')));

    /// <summary>The commands, without what is said of them.</summary>
    private static IEnumerable<string> CurlLines(string text) =>
        Regex.Matches(text, @"^[# ]*(curl [^#\n]*)", RegexOptions.Multiline).Select(m => m.Groups[1].Value.Trim());

    private static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));
}
