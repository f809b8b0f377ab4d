using Millau.Demo;
using Millau.PeerTests.Support;
using Millau.Tests.Shared;

namespace Millau.PeerTests;

/// <summary>The status page of the native binary in a real browser, before a Swarm in which nearly everything is wrong.</summary>
public sealed class UiTests : IAsyncLifetime
{
    private EngineStandIn _engine = null!;
    private DemoSwarm _swarm = null!;
    private MillauBinary _millau = null!;

    public async ValueTask InitializeAsync()
    {
        _engine = await EngineStandIn.StartAsync();
        _swarm = new DemoSwarm(_engine);
        await TroubledSwarm.DeployAsync(_engine, _swarm);
        _millau = await MillauBinary.StartAsync(_engine);
    }

    public async ValueTask DisposeAsync()
    {
        await _millau.DisposeAsync();
        await _swarm.DisposeAsync();
        await _engine.DisposeAsync();
    }

    [Fact]
    public async Task Problems_come_first_and_no_label_runs_as_a_script()
    {
        await using var browser = await OpenAsync(1100);
        foreach (var (name, code) in TroubledSwarm.Expected.Where(e => e.Value is not ("no-labels" or "disabled")))
            await browser.UntilAsync($"[...document.querySelectorAll('#problem-list .problem')].some(p => p.querySelector('.who').textContent === '{name}' && p.querySelector('.code').textContent === '{code}')", $"{name}: {code}");

        await browser.UntilAsync("document.querySelector('#problem-list').textContent.includes('onerror=')", "the hostile label as text");
        await browser.UntilAsync("document.querySelectorAll('main img, main script').length === 0", "no element of a label");
        await browser.UntilAsync("!document.title.includes('owned')", "a title of its own");
        await browser.UntilAsync("document.querySelector('#problem-list .problem .tag').textContent.includes('error')", "errors first");
        Assert.Equal("[]", await browser.ConsoleAsync());
    }

    [Fact]
    public async Task It_follows_what_happens_without_a_reload_and_keeps_what_is_open()
    {
        await using var browser = await OpenAsync(1100);
        await browser.UntilAsync("[...document.querySelectorAll('.row')].some(r => r.querySelector('.name').textContent === 'whoami' && r.textContent.includes('3/3 ready'))", "whoami");
        await browser.RunAsync("window.sameDocument = true; [...document.querySelectorAll('.row')].find(r => r.querySelector('.name').textContent === 'whoami').querySelector('summary').click()");

        await _swarm.ScaleAsync("whoami", 2);

        await browser.UntilAsync("[...document.querySelectorAll('.row')].some(r => r.open && r.querySelector('.name').textContent === 'whoami' && r.textContent.includes('2/2 ready') && r.querySelectorAll('tbody tr').length === 2)", "two are left, and the row is open");
        await browser.UntilAsync("window.sameDocument", "no reload");

        await _engine.StopAsync();
        await browser.UntilAsync("document.querySelector('#problem-list').textContent.includes('engine-unreachable') && document.querySelector('#health').textContent.includes('down')", "the Engine is gone");
        await _millau.Process.SignalAsync("KILL");
        await browser.UntilAsync("!document.querySelector('#lost').hidden", "Millau is gone");
    }

    [Fact]
    public async Task Search_finds_by_label_and_a_request_can_be_tried_with_the_keyboard()
    {
        await using var browser = await OpenAsync(1100);
        await browser.UntilAsync("document.querySelectorAll('.row').length > 15", "all services");
        await browser.RunAsync("const s = document.querySelector('#search'); s.value = 'millau.hots'; s.dispatchEvent(new Event('input'))");
        await browser.UntilAsync("[...document.querySelectorAll('.row .name')].map(n => n.textContent).join() === 'misspelt'", "one is found");

        await browser.RunAsync("document.querySelector('#host').value = 'api.example.com'; document.querySelector('#form').requestSubmit()");
        await browser.UntilAsync("document.querySelector('#answer').textContent.includes('no-port asks for this host, but is not routed: millau.port is not set.')", "the hint");
        await browser.RunAsync("document.querySelector('#host').value = 'members.example.com'; document.querySelector('#scheme').value = 'https'; document.querySelector('#certificate').value = 'valid'; document.querySelector('#form').requestSubmit()");
        await browser.UntilAsync("document.querySelector('#answer').textContent.includes('The CA of bad-ca cannot be read, so nobody is let in.')", "what becomes of a client certificate");
        await browser.RunAsync("document.querySelector('#host').value = 'company.com'; document.querySelector('#path').value = '/api/x'; document.querySelector('#form').requestSubmit()");
        await browser.UntilAsync("document.querySelector('#answer .chosen code')?.textContent === 'company.com/api/'", "the route chosen");
        await browser.UntilAsync("[...document.querySelectorAll('input, select, button')].every(e => e.tabIndex >= 0 && (e.labels?.length || e.ariaLabel || e.textContent))", "labelled, and reached by the keyboard");
    }

    [Theory]
    [InlineData("light", 1100, false)]
    [InlineData("dark", 1100, true)]
    [InlineData("phone", 390, false)]
    public async Task Nothing_is_cut_off_in_any_width(string name, int width, bool isDark)
    {
        await using var browser = await OpenAsync(width, isDark);
        await browser.UntilAsync("document.querySelectorAll('.row').length > 15", "all services");
        await browser.RunAsync("document.querySelectorAll('.row').forEach(r => r.open = true)");
        await browser.UntilAsync("document.documentElement.scrollWidth <= innerWidth", "no scrolling sideways");
        await browser.UntilAsync($"matchMedia('(prefers-color-scheme: dark)').matches === {(isDark ? "true" : "false")} && (parseInt(getComputedStyle(document.body).backgroundColor.slice(4)) < 128) === {(isDark ? "true" : "false")}", "the colours asked for");
        await browser.RunAsync("document.querySelectorAll('.row').forEach(r => r.open = r.querySelector('.name').textContent === 'whoami'); document.querySelector('#host').value = 'company.com'; document.querySelector('#path').value = '/api/x'; document.querySelector('#form').requestSubmit()");
        await browser.UntilAsync("document.querySelectorAll('#answer .chosen').length === 1 && document.documentElement.scrollWidth <= innerWidth", "a request tried, and no scrolling sideways");

        var picture = await browser.ScreenshotAsync();
        var directory = Directory.CreateDirectory(Path.Combine(MillauBinary.Root, "artifacts")).FullName;
        await File.WriteAllBytesAsync(Path.Combine(directory, $"ui-{name}.png"), picture);
    }

    private async Task<Browser> OpenAsync(int width, bool isDark = false)
    {
        var browser = await Browser.StartAsync(width, isDark: isDark);
        await browser.GoToAsync($"http://127.0.0.1:{_millau.Telemetry}/ui");
        return browser;
    }
}
