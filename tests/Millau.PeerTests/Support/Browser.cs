using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Millau.PeerTests.Support;

/// <summary>A headless Chromium, driven through ChromeDriver's HTTP interface (W3C WebDriver).</summary>
internal sealed partial class Browser : IAsyncDisposable
{
    private readonly Tool _driver;
    private readonly HttpClient _client;
    private readonly string _profile;
    private string _session = "";

    private Browser(Tool driver, HttpClient client, string profile)
    {
        _driver = driver;
        _client = client;
        _profile = profile;
    }

    /// <summary>Starts with an empty profile.</summary>
    /// <param name="width">Of the page, in pixels.</param>
    /// <param name="isDark">What the page is told that its reader prefers.</param>
    public static async Task<Browser> StartAsync(int width = 1100, int height = 1400, bool isDark = false)
    {
        var driver = Tool.Start("chromedriver", ["--port=0"]);
        var port = "";
        await Until.TrueAsync(() => Task.FromResult((port = StartedOn().Match(driver.Output).Groups[1].Value).Length > 0), "chromedriver");
        var browser = new Browser(
            driver,
            new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = TimeSpan.FromSeconds(60) },
            Directory.CreateTempSubdirectory("millau-ui-").FullName);
        try
        {
            await browser.OpenAsync(width, height, isDark);
            return browser;
        }
        catch
        {
            await browser.DisposeAsync();
            throw;
        }
    }

    public Task GoToAsync(string url) => CallAsync(HttpMethod.Post, "/url", new() { ["url"] = url });

    /// <summary>Runs a script that returns a value, as the page's own scripts may not.</summary>
    public async Task<JsonNode?> RunAsync(string script) =>
        await CallAsync(HttpMethod.Post, "/execute/sync", new() { ["script"] = script, ["args"] = new JsonArray() });

    /// <summary>Asks again until a script's value is true.</summary>
    public async Task UntilAsync(string script, string what)
    {
        try
        {
            await Until.TrueAsync(async () => (await RunAsync("return " + script))?.GetValue<bool>() == true, what);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            throw new InvalidOperationException($"{what}: {script}\n{await RunAsync("return document.body.innerText")}", e);
        }
    }

    /// <summary>What the console was told: errors of scripts, and what the policy refused.</summary>
    public async Task<string> ConsoleAsync() =>
        (await CallAsync(HttpMethod.Post, "/se/log", new() { ["type"] = "browser" }))?.ToJsonString() ?? "";

    /// <summary>The whole page, however long.</summary>
    public async Task<byte[]> ScreenshotAsync()
    {
        var size = (await RunAsync("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]"))!.AsArray();
        var picture = await ExecuteAsync("Page.captureScreenshot", new()
        {
            ["captureBeyondViewport"] = true,
            ["clip"] = new JsonObject
            {
                ["x"] = 0, ["y"] = 0, ["width"] = size[0]!.GetValue<int>(), ["height"] = size[1]!.GetValue<int>(), ["scale"] = 1,
            },
        });
        return Convert.FromBase64String(picture!["data"]!.GetValue<string>());
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (_session.Length > 0)
                await _client.DeleteAsync(_session);
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            // The driver ends below, and its browser with it.
        }
        _client.Dispose();
        await _driver.DisposeAsync();
        Directory.Delete(_profile, recursive: true);
    }

    private async Task OpenAsync(int width, int height, bool isDark)
    {
        var args = new JsonArray("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", $"--user-data-dir={_profile}");
        var options = new JsonObject { ["goog:chromeOptions"] = new JsonObject { ["args"] = args }, ["goog:loggingPrefs"] = new JsonObject { ["browser"] = "ALL" } };
        var created = await PostAsync("/session", new() { ["capabilities"] = new JsonObject { ["alwaysMatch"] = options } });
        _session = "/session/" + created!["sessionId"]!.GetValue<string>();
        await ExecuteAsync("Emulation.setDeviceMetricsOverride", new()
        {
            ["width"] = width, ["height"] = height, ["deviceScaleFactor"] = 1, ["mobile"] = width < 600,
        });
        await ExecuteAsync("Emulation.setEmulatedMedia", new()
        {
            ["features"] = new JsonArray(new JsonObject { ["name"] = "prefers-color-scheme", ["value"] = isDark ? "dark" : "light" }),
        });
    }

    private Task<JsonNode?> ExecuteAsync(string command, JsonObject parameters) =>
        CallAsync(HttpMethod.Post, "/goog/cdp/execute", new() { ["cmd"] = command, ["params"] = parameters });

    private Task<JsonNode?> CallAsync(HttpMethod method, string path, JsonObject? body) =>
        method == HttpMethod.Get ? ReadAsync(_client.GetAsync(_session + path)) : PostAsync(_session + path, body!);

    private Task<JsonNode?> PostAsync(string path, JsonObject body) => 
        // With its length: the driver takes no chunked body.
        ReadAsync(_client.PostAsync(path, new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json")));

    private static async Task<JsonNode?> ReadAsync(Task<HttpResponseMessage> call)
    {
        using var answer = await call;
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode ? JsonNode.Parse(text)!["value"]?.DeepClone() : throw new InvalidOperationException(text);
    }

    [GeneratedRegex(@"started successfully on port (\d+)")]
    private static partial Regex StartedOn();
}
