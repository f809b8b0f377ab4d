using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Millau.Logging;

namespace Millau.Tests;

/// <summary>What all messages have in common, so that one who reads or parses the log need not look twice.</summary>
public partial class LogTests
{
    private static readonly List<LoggerMessageAttribute> Messages = typeof(Log).GetMethods(BindingFlags.Static | BindingFlags.Public)
        .Select(m => m.GetCustomAttribute<LoggerMessageAttribute>()).OfType<LoggerMessageAttribute>().ToList();

    [Fact]
    public void Each_key_is_the_name_of_its_field_in_JSON()
    {
        var keys = Messages.SelectMany(m => KeyAndHole().Matches(m.Message!)).ToList();

        Assert.True(keys.Count > 50);
        Assert.All(keys, m => Assert.Equal(JsonFormat.FieldName(m.Groups[2].Value).TrimEnd('_'), m.Groups[1].Value));
    }

    [Fact]
    public void Each_value_has_its_key_but_for_what_is_a_text_with_keys_of_its_own() =>
        Assert.Equal(["101 Title", "103 Error", "211 Labels", "212 Labels"],
            Messages.OrderBy(m => m.EventId).SelectMany(m => HoleAlone().Matches(m.Message!).Select(hole => $"{m.EventId} {hole.Groups[1].Value}")));

    [Fact]
    public void One_number_one_message() => Assert.Equal(Messages.Count, Messages.Select(m => m.EventId).Distinct().Count());

    [GeneratedRegex("""([^ ="]+)="?:?\{(\w+)(?::[^}]*)?\}""")]
    private static partial Regex KeyAndHole();

    [GeneratedRegex("""(?<![=":])\{(\w+)\}""")]
    private static partial Regex HoleAlone();
}
