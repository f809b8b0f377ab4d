using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Millau.Logging;

namespace Millau.Tests.Logging;

public class JsonLogTests
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.Parse("2026-11-23T15:04:05.123Z"));

    [Fact]
    public void An_event_is_an_object_with_the_message_and_its_parameters()
    {
        var line = Written(LogLevel.Information, logger =>
            Log.InstanceLeftOut(logger, "app", "app.1.x", IPEndPoint.Parse("10.0.0.2:80"), "connection \"refused\"", 60));

        Assert.Equal(
            """{"time":"2026-11-23T15:04:05.123Z","level":"WARN","event":"InstanceLeftOut","event_id":405,"""
            + """ "message":"instance left out service=app instance=app.1.x address=10.0.0.2:80 reason=\"connection \"refused\"\" seconds=60","""
                .Replace("\"refused\"", "\\\"refused\\\"").TrimStart()
            + """ "service":"app","instance":"app.1.x","address":"10.0.0.2:80","reason":"connection \"refused\"","seconds":60}""".TrimStart()
            + "\n",
            line);
    }

    [Theory]
    [InlineData(LogLevel.Critical, "FATAL")]
    [InlineData(LogLevel.Error, "ERROR")]
    [InlineData(LogLevel.Warning, "WARN")]
    [InlineData(LogLevel.Information, "INFO")]
    [InlineData(LogLevel.Debug, "DEBUG")]
    public void Levels_have_their_names(LogLevel level, string name) =>
        Assert.Equal(name, Parsed(LogLevel.Debug, logger => logger.Log(level, "x")).GetProperty("level").GetString());

    [Fact]
    public void Numbers_and_flags_are_no_strings_and_names_are_in_snake_case()
    {
        var line = Parsed(LogLevel.Information, logger => logger.LogInformation(
            "{EventCount} {BigNumber} {Ratio} {Undefined} {IsOn} {Nothing} {Time} {Message}", 1, 5_000_000_000L, 0.5, double.NaN, true, null, "t", "m"));

        Assert.Equal("""1,5000000000,0.5,"NaN",true,null,"t","m",""", string.Join(",", new[]
        {
            "event_count", "big_number", "ratio", "undefined", "is_on", "nothing", "time_", "message_",
        }.Select(name => line.GetProperty(name).GetRawText())) + ",");
    }

    [Fact]
    public void An_exception_is_one_field_without_its_stack()
    {
        var exception = new IOException("broken\nhere", new ArgumentException("deep"));

        var line = Parsed(LogLevel.Information, logger => Log.RequestFailed(logger, exception, "GET", "a.test"));

        Assert.Equal("System.IO.IOException: broken\nhere <- System.ArgumentException: deep", line.GetProperty("exception").GetString());
    }

    [Fact]
    public void At_DEBUG_the_exception_has_its_stack()
    {
        var line = Parsed(LogLevel.Debug, logger =>
        {
            try
            {
                throw new IOException("broken");
            }
            catch (IOException e)
            {
                Log.RequestFailed(logger, e, "GET", "a.test");
            }
        });

        Assert.Contains("   at " + typeof(JsonLogTests).FullName, line.GetProperty("exception").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_suppressed_is_a_number()
    {
        var lines = Lines(LogLevel.Information, logger =>
        {
            for (var i = 0; i < FloodGuard.MostInPeriod + 5; i++) Log.Refused(logger, "192.0.2.1", "no Host");
            _time.Advance(FloodGuard.Period);
            Log.Refused(logger, "192.0.2.1", "no Host");
        });

        Assert.Equal(FloodGuard.MostInPeriod + 1, lines.Length);
        Assert.Equal(5, JsonDocument.Parse(lines[^1]).RootElement.GetProperty("suppressed").GetInt32());
    }

    private JsonElement Parsed(LogLevel minimum, Action<ILogger> act) => JsonDocument.Parse(Written(minimum, act)).RootElement;

    private string Written(LogLevel minimum, Action<ILogger> act) => Assert.Single(Lines(minimum, act)) + "\n";

    private string[] Lines(LogLevel minimum, Action<ILogger> act)
    {
        var output = new MemoryStream();
        using (var factory = LineLoggerProvider.CreateFactory(minimum, LogFormat.Json, output, _time))
            act(factory.CreateLogger("Millau"));
        return Encoding.UTF8.GetString(output.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
