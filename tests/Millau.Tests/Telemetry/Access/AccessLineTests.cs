using System.Security.Authentication;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using CsCheck;
using Microsoft.Extensions.Time.Testing;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Telemetry.Access;

namespace Millau.Tests.Telemetry.Access;

public sealed partial class AccessLineTests : IDisposable
{
    private const string Extras =
        "host=a.test service=app instance=app.1 attempts=1 upstream_time=0.000250 parked=0.000000 duration=1.000400 outcome=answered\n";

    private readonly FakeTimeProvider _time = new(DateTimeOffset.Parse("2026-11-23T15:04:05.678Z"));
    private readonly FinishedRequest _request = new();

    /// <summary>Any field that a client can send, one character a byte, the dangerous ones more often.</summary>
    private static readonly Gen<string> Field = Gen.OneOf(
        Gen.Char['\0', '\xFF'], Gen.Char[' ', '~'], Gen.OneOf(Gen.Const('"'), Gen.Const('\\'), Gen.Const('\n'), Gen.Const(' ')))
        .Array[0, 60].Select(chars => new string(chars));

    [Fact]
    public void Common_is_the_common_log_format_with_keys_behind_it() =>
        Assert.Equal($"""192.0.2.1 - - [23/Nov/2026:15:04:05 +0000] "GET /a?b=c HTTP/1.1" 200 1234 {Extras}""", Line(AccessLogFormat.Common));

    [Fact]
    public void Combined_adds_referer_and_user_agent()
    {
        _request.Referer = "https://b.test/";
        _request.UserAgent = "curl/8";

        Assert.Equal(
            $"""192.0.2.1 - - [23/Nov/2026:15:04:05 +0000] "GET /a?b=c HTTP/1.1" 200 1234 "https://b.test/" "curl/8" {Extras}""",
            Line(AccessLogFormat.Combined));
    }

    [Fact]
    public void What_is_absent_is_a_dash()
    {
        var outcome = _request.Outcome;
        (outcome.Service, outcome.Instance, outcome.Attempts, outcome.InstanceStatus, outcome.Status) = (null, null, 0, 0, 502);

        Assert.EndsWith("\" 502 1234 \"-\" \"-\" host=a.test service=- instance=- attempts=0 upstream_time=- parked=0.000000 "
            + "duration=1.000400 outcome=no_route\n", Line(AccessLogFormat.Combined));
    }

    [Theory]
    [InlineData("a\"b\\c", @"a\x22b\x5Cc")]
    [InlineData("a\nb\x1b[31m\x7f\xe9", @"a\x0Ab\x1B[31m\x7F\xE9")]
    [InlineData("a b", "a b")]
    public void Text_is_escaped_as_nginx_does(string agent, string written)
    {
        _request.UserAgent = agent;

        Assert.Contains($" \"-\" \"{written}\" host=", Line(AccessLogFormat.Combined), StringComparison.Ordinal);
    }

    [Fact]
    public void Json_has_everything()
    {
        using var request = new FinishedRequest(tls: new TlsDetails(SslProtocols.Tls13, "a.test"))
        {
            Referer = "https://b.test/",
            UserAgent = "say \"hi\"",
        };

        Assert.Equal(
            """{"time":"2026-11-23T15:04:05.678Z","client":"192.0.2.1","port":":8080","scheme":"https","protocol":"HTTP/1.1","method":"GET","""
            + """ "host":"a.test","target":"/a?b=c","path":"/a","query":"b=c","status":200,"outcome":"answered","request_bytes":5,"response_bytes":1234,"""
            + """ "referer":"https://b.test/","user_agent":"say \"hi\"","service":"app","instance":"app.1","attempts":1,"upstream_time":0.000250,"""
            + """ "parked":0.000000,"duration":1.000400,"tls_version":"TLSv1.3","tls_server_name":"a.test"}""",
            Encoding.UTF8.GetString(request.Line(AccessLogFormat.Json, _time)).TrimEnd('\n').Replace(",\"host\"", ", \"host\"").Replace(",\"referer\"", ", \"referer\"")
                .Replace(",\"parked\"", ", \"parked\""));
    }

    [Fact]
    public void Json_tells_a_target_as_written_and_as_sent()
    {
        var line = JsonDocument.Parse(new FinishedRequest("/a/../b%2F?").Line(AccessLogFormat.Json, _time)).RootElement;

        Assert.Equal(("/a/../b%2F?", "/b%2F", ""), (Text(line, "target"), Text(line, "path"), Text(line, "query")));
    }

    [Fact]
    public void Json_leaves_out_what_is_absent()
    {
        var outcome = _request.Outcome;
        (outcome.Service, outcome.Instance, outcome.InstanceStatus, outcome.Status) = (null, null, 0, 502);

        var line = JsonDocument.Parse(Line(AccessLogFormat.Json)).RootElement;

        foreach (var name in new[] { "referer", "user_agent", "service", "instance", "upstream_time", "tls_version", "tls_server_name" })
            Assert.False(line.TryGetProperty(name, out _), name);
    }

    [Theory]
    [InlineData("caf\u00c3\u00a9", "café")]
    [InlineData("caf\u00e9", "café")]
    [InlineData("\u009b31m", "\u009b31m")]
    [InlineData("\u00e2\u0080\u00ae", "\u202e")]
    public void Json_takes_bytes_for_UTF8_if_they_are(string agent, string meant)
    {
        _request.UserAgent = agent;
        var line = Line(AccessLogFormat.Json);

        Assert.Equal(meant, Text(JsonDocument.Parse(line).RootElement, "user_agent"));
        Assert.DoesNotContain(line, c => char.IsControl(c) && c != '\n');
        Assert.DoesNotContain('\u202e', line);
    }

    [Fact]
    public void Whatever_a_client_sends_common_and_combined_stay_one_line_that_parses() =>
        Gen.Select(Field, Field, Field, Field).Sample((target, referer, agent, host) =>
        {
            using var request = new FinishedRequest("/" + target) { Context = { Host = host } };
            request.Referer = referer;
            request.UserAgent = agent;

            var line = Encoding.ASCII.GetString(request.Line(AccessLogFormat.Combined, new FakeTimeProvider()));

            Assert.Matches(Combined(), line);
            Assert.DoesNotContain(line[..^1], c => c is < ' ' or > '~');
            Assert.Equal(6, line.Count(c => c == '"'));
        });

    [Fact]
    public void Whatever_a_client_sends_json_is_one_line_that_says_it() =>
        Gen.Select(Field, Field, Field).Sample((target, agent, host) =>
        {
            using var request = new FinishedRequest("/" + target) { Context = { Host = host } };
            request.UserAgent = agent;
            var line = new UTF8Encoding(false, true).GetString(request.Line(AccessLogFormat.Json, new FakeTimeProvider()));

            Assert.Equal('\n', Assert.Single(line, char.IsControl));
            using var parsed = JsonDocument.Parse(line);
            Assert.Equal(Meant("/" + target), Text(parsed.RootElement, "target"));
            if (agent.Length > 0) Assert.Equal(Meant(agent), Text(parsed.RootElement, "user_agent"));
        });

    [Theory]
    [InlineData(nameof(AccessLogFormat.Common))]
    [InlineData(nameof(AccessLogFormat.Combined))]
    [InlineData(nameof(AccessLogFormat.Json))]
    public async Task Telling_a_request_allocates_nothing(string format)
    {
        _request.UserAgent = "Mozilla/5.0 (X11; Linux x86_64) caf\u00c3\u00a9 \"quoted\"";
        using var log = new AccessLog(Enum.Parse<AccessLogFormat>(format), Stream.Null, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        // Code that is not optimized yet may box: it takes the compiler a moment to see that this is worth it, and longer while
        // other tests are new to it.
        await Wire.Eventually.TrueAsync(() =>
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++) log.RequestEnded(_request.Context);
            return GC.GetAllocatedBytesForCurrentThread() == before;
        }, patience: TimeSpan.FromMinutes(2));
    }

    public void Dispose() => _request.Dispose();

    private string Line(AccessLogFormat format) => Encoding.UTF8.GetString(_request.Line(format, _time));

    private static string? Text(JsonElement line, string name) => line.GetProperty(name).GetString();

    private static string Meant(string latin1)
    {
        try
        {
            return new UTF8Encoding(false, true).GetString(Encoding.Latin1.GetBytes(latin1));
        }
        catch (DecoderFallbackException)
        {
            return latin1;
        }
    }

    // The expression of fluent-bit's and Logstash's parsers, in essence.
    [GeneratedRegex("""
        ^192\.0\.2\.1 - - \[01/Jan/2000:00:00:00 \+0000\] "GET [^"]* HTTP/1\.1" 200 1234 "[^"]*" "[^"]*" host=\S+ service=app instance=app\.1 \S+ \S+ \S+ \S+ outcome=answered\n$
        """)]
    private static partial Regex Combined();
}
