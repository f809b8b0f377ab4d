using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Millau.Demo;

namespace Millau.Tests.Demo;

public class DemoTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Each_curl_line_that_is_printed_does_what_it_says()
    {
        var output = new Output();
        await using var demo = await DemoRun.StartAsync(new Screen(output, colours: false));
        var lines = output.Lines.Where(l => l.TrimStart().StartsWith("curl ", StringComparison.Ordinal)).ToList();
        Assert.Equal(6, lines.Count);

        using var client = new HttpClient();
        // Once all three accept connections: twice each, in turn.
        var whoami = new List<Answer>();
        await Until(async () =>
        {
            whoami = await RunAsync(client, lines[0], times: 6);
            return whoami.GroupBy(a => a.Instance).Select(g => g.Count()).SequenceEqual([2, 2, 2]);
        }, "three instances in turn", output);
        Assert.All(whoami, a => Assert.Equal((200, "whoami"), a.StatusAndFirstLine));
        Assert.Contains("GET / HTTP/1.1", whoami[0].Body);
        Assert.Contains("X-Forwarded-For: 127.0.0.1", whoami[0].Body);

        var both = new HashSet<string>();
        await Until(async () =>
        {
            var answer = Assert.Single(await RunAsync(client, lines[1]));
            Assert.Equal(200, answer.Status);
            return both.Add(answer.FirstLine) && both.SetEquals(["blue", "green"]);
        }, "blue and green", output);
        Assert.All(await RunAsync(client, lines[2], times: 3), a => Assert.Equal((200, "green"), a.StatusAndFirstLine));
        Assert.Equal((200, "Welcome to the shop"), (await RunAsync(client, lines[3]))[0].StatusAndFirstLine);
        Assert.Equal((502, "No matching services found"), (await RunAsync(client, lines[4]))[0].StatusAndFirstLine);
        await Until(async () => (await RunAsync(client, lines[5]))[0].StatusAndFirstLine == (200, "up"), "healthy", output);
    }

    [Fact]
    public async Task Scaling_and_death_cost_the_visitors_nothing()
    {
        var output = new Output();
        await using var demo = await DemoRun.StartAsync(new Screen(output, colours: false));

        await demo.ExecuteAsync("scale whoami 1");
        Assert.Contains("whoami.1.", output.Visits("whoami.local/"));
        await demo.ExecuteAsync("scale whoami 1");
        Assert.DoesNotContain("whoami.2.", output.Visits("whoami.local/"));

        await demo.ExecuteAsync("kill blue");
        Assert.Contains("green.1.", output.Visits("company.com/api/"));
        Assert.Contains(output.Lines, l => l.Contains("WARN  instance left out service=blue"));

        await demo.ExecuteAsync("scale shop 0");
        Assert.Contains("maintenance.1.", output.Visits("shop.company.com/"));
        await demo.ExecuteAsync("scale shop 1");
        Assert.Contains("shop.1.", output.Visits("shop.company.com/"));

        Assert.All(output.Lines.Where(l => l.Contains("visitors ")), l => Assert.Contains(" 0 failed", l));
    }

    [Fact]
    public async Task Without_an_input_the_tour_goes_on_until_it_is_ended()
    {
        var output = new Output();
        var screen = new Screen(output, colours: false);
        await using var demo = await DemoRun.StartAsync(screen);
        using var stop = new CancellationTokenSource();
        var talk = Conversation.RunAsync(demo, screen, TextReader.Null, TimeSpan.FromMilliseconds(1), stop.Token);
        await Until(() => Task.FromResult(output.Lines.Contains("$ scale whoami 3")), "the second step", output);
        await stop.CancelAsync();
        await talk.WaitAsync(Deadline);
    }

    [Fact]
    public async Task What_is_typed_is_done_and_what_is_not_understood_is_said()
    {
        var output = new Output();
        var screen = new Screen(output, colours: false);
        await using var demo = await DemoRun.StartAsync(screen);
        await Conversation.RunAsync(
            demo, screen, new StringReader("scale whoami many\nkill nobody\nscale green 2\nquit\n"),
            TimeSpan.FromHours(1), CancellationToken.None).WaitAsync(Deadline);
        Assert.Contains("  not understood: scale whoami many", output.Lines);
        Assert.Contains("  not understood: kill nobody", output.Lines);
        Assert.Contains("green.2.", output.Visits("company.com/api/"));
    }

    [Fact]
    public void Lines_of_a_log_that_come_together_are_shown_one_by_one()
    {
        var output = new Output();
        using var log = new Screen(output, colours: false).Log();

        log.Write("2026-11-30T00:00:00.000Z INFO  one\n2026-11-30T00:00:00.001Z WARN  two a=b\n"u8);

        Assert.Equal(["  millau   INFO  one", "  millau   WARN  two a=b"], output.Lines);
    }

    private static async Task<List<Answer>> RunAsync(HttpClient client, string line, int times = 1)
    {
        var command = Regex.Match(line, @"^  curl (?:-i )?(?:-H 'Host: (?<host>[^']+)' )?(?<address>localhost:\d+/\S*) +# ");
        Assert.True(command.Success, line);
        var answers = new List<Answer>();
        for (var i = 0; i < times; i++)
        {
            // What curl does when nothing listens on the IPv6 address of localhost.
            var address = command.Groups["address"].Value;
            using var request = new HttpRequestMessage(HttpMethod.Get, "http://127.0.0.1" + address["localhost".Length..]);
            request.Headers.Host = command.Groups["host"] is { Success: true } host ? host.Value : address.Split('/')[0];
            using var response = await client.SendAsync(request);
            answers.Add(new Answer(response.StatusCode, await response.Content.ReadAsStringAsync()));
        }

        return answers;
    }

    private static async Task Until(Func<Task<bool>> condition, string what, Output output)
    {
        var end = DateTime.UtcNow + Deadline;
        while (!await condition())
        {
            if (DateTime.UtcNow > end)
                Assert.Fail($"not seen in time: {what}\n{string.Join('\n', output.Lines)}");
            await Task.Delay(10);
        }
    }

    private sealed record Answer(HttpStatusCode Code, string Body)
    {
        public int Status => (int)Code;
        public string FirstLine => Body.Split('\n')[0].TrimEnd('\r');
        public (int, string) StatusAndFirstLine => (Status, FirstLine);
        public string Instance => Body.Split('\n').First(l => l.StartsWith("instance: ", StringComparison.Ordinal));
    }

    /// <summary>What was printed, by line; may be read while it is written.</summary>
    private sealed class Output : TextWriter
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public override Encoding Encoding => Encoding.UTF8;

        public override void WriteLine(string? value) => Lines.Enqueue(value ?? "");

        /// <summary>What visitors saw of a page, as it was said last.</summary>
        public string Visits(string page) =>
            Lines.Last(l => l.StartsWith($"  visitors {page}: ", StringComparison.Ordinal));
    }
}
