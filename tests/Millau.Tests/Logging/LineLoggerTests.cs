using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Millau.Logging;

namespace Millau.Tests.Logging;

public sealed class LineLoggerTests : IDisposable
{
    private const string Date = "2026-11-23T15:04:05.123Z";

    private readonly MemoryStream _output = new();
    private ILoggerFactory? _factory;
    private readonly FakeTimeProvider _time = new(DateTimeOffset.Parse(Date));

    [Theory]
    [InlineData(LogLevel.Critical, "FATAL")]
    [InlineData(LogLevel.Error, "ERROR")]
    [InlineData(LogLevel.Warning, "WARN ")]
    [InlineData(LogLevel.Information, "INFO ")]
    [InlineData(LogLevel.Debug, "DEBUG")]
    public void A_line_has_date_level_and_message(LogLevel level, string name)
    {
        Logger(LogLevel.Debug).Log(level, "ready port={Port}", 80);

        Assert.Equal($"{Date} {name} ready port=80\n", Text);
    }

    [Theory]
    [InlineData("a\nb\r\nc\td", "a\\nb\\r\\nc\\td")]
    [InlineData("\u001b[31mred", "\\x1b[31mred")]
    [InlineData("\0\u0007\u007f", "\\x00\\x07\\x7f")]
    [InlineData("\u0085\u009b31m", "\\x85\\x9b31m")]
    [InlineData("\u2028\u202e\u2066\u200f", "\\u2028\\u202e\\u2066\\u200f")]
    [InlineData("café 🐳 \\n", "café 🐳 \\n")]
    public void What_could_end_a_line_or_steer_a_terminal_is_escaped(string message, string written)
    {
        Logger().LogInformation("x={X}", message);

        Assert.Equal($"{Date} INFO  x={written}\n", Text);
    }

    [Fact]
    public void A_lone_surrogate_is_escaped()
    {
        Logger().LogInformation("a\ud800b\udc00");

        Assert.Equal($"{Date} INFO  a\\ud800b\\udc00\n", Text);
    }

    [Fact]
    public void An_exception_is_told_on_the_same_line_without_its_stack()
    {
        var inner = new ArgumentException("deep\ndown");
        Logger().LogError(Thrown(new IOException("broken", inner)), "failed");

        Assert.Equal(
            $"{Date} ERROR failed System.IO.IOException: broken <- System.ArgumentException: deep\\ndown\n", Text);
    }

    [Fact]
    public void At_DEBUG_an_exception_has_its_stack_on_the_same_line()
    {
        Logger(LogLevel.Debug).LogError(Thrown(new IOException("broken")), "failed");

        Assert.StartsWith($"{Date} ERROR failed System.IO.IOException: broken\\n   at ", Text);
        Assert.Contains(nameof(Thrown), Text);
        Assert.Single(Text, '\n');
    }

    [Fact]
    public void Events_below_the_level_are_not_written()
    {
        var logger = Logger(LogLevel.Warning);
        logger.LogInformation("no");
        logger.LogWarning("yes");

        Assert.False(logger.IsEnabled(LogLevel.Information));
        Assert.Equal($"{Date} WARN  yes\n", Text);
    }

    [Theory]
    [InlineData(LogLevel.Debug, "w e ")]
    [InlineData(LogLevel.Information, "w e ")]
    [InlineData(LogLevel.Error, "e ")]
    public void The_framework_is_heard_from_a_warning_up(LogLevel minimum, string heard)
    {
        var logger = Logger(minimum, "Microsoft.AspNetCore.Server.Kestrel");
        logger.LogDebug("d");
        logger.LogInformation("i");
        logger.LogWarning("w");
        logger.LogError("e");

        Assert.Equal(heard, string.Concat(Text.Split('\n').Select(l => l.Length > 0 ? l[^1] + " " : "")));
    }

    [Fact]
    public void A_long_line_is_whole_and_the_next_is_too()
    {
        var logger = Logger();
        logger.LogInformation("{Long}", new string('x', 100_000));
        logger.LogInformation("short");

        Assert.Equal($"{Date} INFO  {new string('x', 100_000)}\n{Date} INFO  short\n", Text);
    }

    [Fact]
    public async Task Lines_of_many_threads_stay_whole()
    {
        var factory = LineLoggerProvider.CreateFactory(LogLevel.Information, LogFormat.Text, _output, _time);
        var loggers = Enumerable.Range(0, 4).Select(i => factory.CreateLogger($"Millau.{i}")).ToArray();
        await Task.WhenAll(loggers.Select((logger, i) => Task.Run(() =>
        {
            for (var j = 0; j < 500; j++)
                logger.LogInformation("{Text}", new string((char)('a' + i), 50));
        })));
        factory.Dispose();

        var lines = Encoding.UTF8.GetString(_output.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2000, lines.Length);
        Assert.All(lines, l => Assert.Matches("^[^ ]+ INFO  (a{50}|b{50}|c{50}|d{50})$", l));
    }

    [Fact]
    public void A_reader_that_went_away_is_no_error()
    {
        using var factory = LineLoggerProvider.CreateFactory(LogLevel.Information, LogFormat.Text, new BrokenStream(), _time);

        factory.CreateLogger("x").LogInformation("unheard");
    }

    [Fact]
    public void A_quoted_value_cannot_pass_for_further_keys()
    {
        Log.WrongLabel(Logger(), "app", "millau.path", "x\" allowed=\"\\", "starts with /", "not routed");

        Assert.Equal($"{Date} WARN  wrong label service=app label=millau.path value=\"x\\\" allowed=\\\"\\\\\" "
            + "allowed=\"starts with /\" result=\"not routed\"\n", Text);
    }

    [Fact]
    public void What_requests_cause_is_written_30_times_a_minute_and_the_rest_is_counted()
    {
        var logger = Logger();
        for (var i = 0; i < 100; i++) Log.Refused(logger, "192.0.2.1", "no Host");
        for (var i = 0; i < 100; i++) Log.ServiceForgotten(logger, $"app{i}");
        _time.Advance(TimeSpan.FromMinutes(1));
        Log.Refused(logger, "192.0.2.1", "no Host");
        Log.Refused(logger, "192.0.2.1", "no Host");

        var lines = Text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(32, lines.Count(l => l.Contains("request refused", StringComparison.Ordinal)));
        Assert.Equal(100, lines.Count(l => l.Contains("service forgotten", StringComparison.Ordinal)));
        Assert.EndsWith("request refused client=192.0.2.1 reason=\"no Host\" suppressed=70", lines[^2]);
        Assert.EndsWith("request refused client=192.0.2.1 reason=\"no Host\"", lines[^1]);
    }

    [Fact]
    public void At_DEBUG_what_requests_cause_is_written_each_time()
    {
        var logger = Logger(LogLevel.Debug);
        for (var i = 0; i < 100; i++) Log.ClientGone(logger, "192.0.2.1", "a.test");

        Assert.Equal(100, Text.Count(c => c == '\n'));
    }

    /// <summary>All that was written; the end of the log.</summary>
    private string Text
    {
        get
        {
            _factory?.Dispose();
            return Encoding.UTF8.GetString(_output.ToArray());
        }
    }

    public void Dispose() => _factory?.Dispose();

    private ILogger Logger(LogLevel minimum = LogLevel.Information, string category = "Millau") =>
        (_factory = LineLoggerProvider.CreateFactory(minimum, LogFormat.Text, _output, _time)).CreateLogger(category);

    private static Exception Thrown(Exception exception)
    {
        try
        {
            throw exception;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    private sealed class BrokenStream : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => throw new IOException("broken pipe");
    }
}
