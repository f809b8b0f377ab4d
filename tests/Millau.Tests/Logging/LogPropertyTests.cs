using System.Text;
using System.Text.Json;
using CsCheck;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Millau.Logging;

namespace Millau.Tests.Logging;

/// <summary>Whatever comes from outside, an event is one line, and the line can be read back.</summary>
public class LogPropertyTests
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Any UTF-16, valid or not, with what is dangerous more often than chance would have it.</summary>
    private static readonly Gen<string> Foreign = Gen.OneOf(
        Gen.Char, Gen.Char['\0', '\xFF'], Gen.Char['\uD800', '\uDFFF'], Gen.Char['\u2028', '\u202F'], Gen.OneOf(Gen.Const('"'), Gen.Const('\\'), Gen.Const('\n'), Gen.Const('{')))
        .Array[0, 40].Select(chars => new string(chars));

    [Fact]
    public void As_text_it_is_one_line_without_what_steers_a_terminal() =>
        Gen.Select(Foreign, Foreign, Foreign).Sample((label, value, notice) =>
        {
            var text = Written(LogFormat.Text, label, value, notice);

            Assert.EndsWith("\n", text);
            Assert.DoesNotContain(text[..^1], IsDangerous);
            Assert.StartsWith("2026-11-23T15:04:05.000Z WARN  wrong label service=app label=", text);
        });

    [Fact]
    public void As_JSON_it_is_one_line_that_says_what_was_meant() =>
        Gen.Select(Foreign, Foreign, Foreign).Sample((label, value, notice) =>
        {
            var text = Written(LogFormat.Json, label, value, notice);

            Assert.EndsWith("}\n", text);
            Assert.DoesNotContain(text[..^1], IsDangerous);
            using var parsed = JsonDocument.Parse(text);
            var root = parsed.RootElement;
            Assert.Equal(Valid(label), root.GetProperty("label").GetString());
            Assert.Equal(Valid(value), root.GetProperty("value").GetString());
            Assert.Contains(Valid(notice), root.GetProperty("exception").GetString(), StringComparison.Ordinal);
            Assert.Equal(root.EnumerateObject().Count(), root.EnumerateObject().Select(p => p.Name).Distinct().Count());
        });

    [Fact]
    public void Names_of_parameters_do_no_harm_either() =>
        Gen.Select(Foreign.Where(name => name.Length > 0), Foreign).Sample((name, value) =>
        {
            var output = new MemoryStream();
            using (var factory = LineLoggerProvider.CreateFactory(LogLevel.Information, LogFormat.Json, output, new FakeTimeProvider()))
                factory.CreateLogger("Millau").Log(LogLevel.Information, 1, new List<KeyValuePair<string, object?>> { new(name, value), new(name, value) },
                    null, (_, _) => value);

            var text = Strict.GetString(output.ToArray());
            Assert.Single(text, '\n');
            JsonDocument.Parse(text).Dispose();
        });

    private static string Written(LogFormat format, string label, string value, string notice)
    {
        var output = new MemoryStream();
        var time = new FakeTimeProvider(DateTimeOffset.Parse("2026-11-23T15:04:05Z"));
        using (var factory = LineLoggerProvider.CreateFactory(LogLevel.Information, format, output, time))
            factory.CreateLogger("Millau").Log(
                LogLevel.Warning, new EventId(220, "WrongLabel"),
                new List<KeyValuePair<string, object?>>
                {
                    new("Service", "app"), new("Label", label), new("Value", value),
                    new("{OriginalFormat}", "wrong label service={Service} label={Label} value=\"{Value}\""),
                },
                new IOException(notice), (_, _) => $"wrong label service=app label={label} value=\"{value}\"");
        return Strict.GetString(output.ToArray());
    }

    private static bool IsDangerous(char c) =>
        char.IsControl(c) || c is '\u2028' or '\u2029' or '\u200E' or '\u200F' or '\u061C' or (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069');

    // What is no UTF-16 has no other name in JSON.
    private static string Valid(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
}
