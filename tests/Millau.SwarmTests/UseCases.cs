using Millau.SwarmTests.Support;

namespace Millau.SwarmTests;

/// <summary>
/// Each use case of deploy/, deployed from its file, with every curl line of the README as an assertion. Nothing runs beside
/// them: some of them route every host.
/// </summary>
[Collection(nameof(Alone))]
public class UseCases
{
    private static Proxy Millau => SharedMillau.Proxy;

    public UseCases() => Lab.Require();

    [Fact]
    public async Task A_service_of_three_replicas_is_reached_through_Millau()
    {
        await using var stack = await Stack.DeployFileAsync("service", "docker-compose.service.yml");
        await Millau.UntilInstancesAsync("localhost", 3);
        var answer = await Millau.GetAsync("localhost", "/some/path?x=%20y");
        Assert.Equal(200, answer.Status);
        Assert.Contains("\"target\":\"/some/path?x=%20y\"", answer.Body);
        Assert.Contains("\"X-Forwarded-For\":[\"" + Lab.ClientAddress + "\"]", answer.Body);
    }

    [Fact]
    public async Task Blue_and_green_share_a_host_and_have_one_each()
    {
        await using var stack = await Stack.DeployFileAsync("bluegreen", "docker-compose.bluegreen.yml");
        await Millau.UntilAsync("blue answers", "blue.local", a => a.Body.Trim() == "blue", "/api/");
        await Millau.UntilAsync("green answers", "green.local", a => a.Body.Trim() == "green", "/api/");

        var both = new List<string>();
        for (var i = 0; i < 10; i++)
        {
            var answer = await Millau.GetAsync("company.com", "/api/");
            Assert.Equal(200, answer.Status);
            both.Add(answer.Body.Trim());
        }
        Assert.Equal(5, both.Count(body => body == "blue"));
        Assert.Equal(5, both.Count(body => body == "green"));
        Assert.Equal((200, "green"), await StatusAndBodyAsync("green.local", "/api/"));
        Assert.Equal((200, "blue"), await StatusAndBodyAsync("blue.local", "/api/"));
        Assert.Equal((502, "No matching services found"), await StatusAndBodyAsync("company.locall", "/"));
        Assert.Equal((502, "No matching services found"), await StatusAndBodyAsync("company.local", "/apii/"));
    }

    [Fact]
    public async Task Ingress_reaches_the_backend_and_not_the_service_without_labels()
    {
        await using var stack = await Stack.DeployFileAsync("ingress", "docker-compose.ingress.yml");
        await Millau.UntilInstancesAsync("localhost:8080", 3);
        for (var i = 0; i < 9; i++)
            Assert.Equal((200, "backend"), await StatusAndBodyAsync("localhost:8080", "/"));
    }

    [Fact]
    public async Task Failover_gives_a_request_to_the_next_service_within_its_timeout()
    {
        await using var stack = await Stack.DeployFileAsync("failover", "docker-compose.failover.yml");
        // Not by asking, so that the requests below are the first: the silent instance costs the one that meets it two seconds.
        foreach (var service in (string[])["responding", "overloaded"])
            await SharedMillau.LoggedAsync("instance up", $"service=failover_{service} ");
        var slowest = TimeSpan.Zero;
        for (var i = 0; i < 20; i++)
        {
            var clock = System.Diagnostics.Stopwatch.StartNew();
            var answer = await Millau.GetAsync("localhost", "/rest/echo");
            Assert.Equal(200, answer.Status);
            if (clock.Elapsed > slowest)
                slowest = clock.Elapsed;
        }
        Figures.Add("failover from a silent instance, slowest of 20 requests (millau.timeout 2 s)", slowest);
        Assert.InRange(slowest, TimeSpan.FromSeconds(1.9), TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task A_maintenance_page_answers_while_the_service_is_scaled_to_0()
    {
        await using var stack = await Stack.DeployFileAsync("maintenance", "docker-compose.maintenance.yml");
        await Millau.UntilAsync("the homepage answers", "company.com", a => (a.Status, a.Body.Trim()) == (200, "homepage"));
        await Millau.UntilAsync("the fallback answers", "other.com", a => (a.Status, a.Body.Trim()) == (200, "maintenance page"));

        await stack.ScaleAsync("homepage", 0);
        var down = await Millau.UntilAsync("the maintenance page answers", "company.com", MaintenanceOrHomepage("maintenance page"));
        await stack.ScaleAsync("homepage", 1);
        await Millau.UntilAsync("the homepage is back", "company.com", MaintenanceOrHomepage("homepage"));
        Figures.Add("scaled to 0: maintenance page answers after", down);
    }

    /// <summary>A condition that also fails the test at once when anything but the two pages is seen.</summary>
    private static Func<Answer, bool> MaintenanceOrHomepage(string wanted) => answer =>
    {
        Assert.Equal(200, answer.Status);
        Assert.Contains(answer.Body.Trim(), (string[])["homepage", "maintenance page"]);
        return answer.Body.Trim() == wanted;
    };

    private static async Task<(int, string)> StatusAndBodyAsync(string host, string target)
    {
        var answer = await Millau.GetAsync(host, target);
        return (answer.Status, answer.Body.Trim());
    }
}
