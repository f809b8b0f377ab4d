using System.Text.Json;
using System.Text.RegularExpressions;
using Millau.Demo;
using Millau.PeerTests.Support;

namespace Millau.PeerTests.Hostile;

/// <summary>The state of automatic HTTPS on a file system that is really full, of the native binary with pebble.</summary>
public class FullDiskTests
{
    private const string Shop = "shop.millau-peer.org", Blog = "blog.millau-peer.org";

    [Fact]
    public async Task A_full_disk_costs_no_certificate_is_said_aloud_and_is_caught_up_with_when_there_is_room()
    {
        await using var pebble = await Pebble.StartAsync(delay: 0);
        await using var disk = await SmallDisk.MountAsync(pebble.Data, kilobytes: 512);
        await using var engine = await EngineStandIn.StartAsync();
        await using var swarm = new DemoSwarm(engine);
        await using (var millau = await MillauBinary.StartWithinAsync(disk.Launcher, engine, pebble.Settings))
        {
            await swarm.DeployAsync("shop", 1, "hello", ("millau.hosts", Shop));
            var first = await pebble.CertifiedAsync(() => millau.Output, Shop);
            await StoreIsAsync(millau, "1");
            var before = await disk.ReadAsync();

            await disk.FillAsync();
            await swarm.DeployAsync("blog", 1, "hello", ("millau.hosts", Blog));

            // Both are served from memory, the new one too.
            var second = await pebble.CertifiedAsync(() => millau.Output, Blog);
            Assert.Equal(first.SerialNumber, (await pebble.HandshakeAsync(Shop)).SerialNumber);
            await StoreIsAsync(millau, "0");
            var said = millau.Output.Split('\n').Where(l => l.Contains("acme state cannot be written", StringComparison.Ordinal));
            Assert.Matches("ERROR .*(disk was full|No space left)", Assert.Single(said));
            // What was there is there, whole; and nothing half written is beside it.
            Assert.Equal(before, await disk.ReadAsync());

            await disk.EmptyAsync();

            // It is tried again each minute.
            await Until.TrueAsync(() => millau.Output.Contains("acme state is written again", StringComparison.Ordinal), "caught up", TimeSpan.FromMinutes(2));
            await StoreIsAsync(millau, "1");
            var after = await disk.ReadAsync();
            Assert.Equal(2, after.Keys.Count(f => f.EndsWith(".pem", StringComparison.Ordinal)));
            Assert.DoesNotContain(after.Keys, f => f.EndsWith(".new", StringComparison.Ordinal));
            foreach (var (_, json) in after.Where(f => f.Key.EndsWith(".json", StringComparison.Ordinal))) JsonDocument.Parse(json).Dispose();
            Assert.Equal(second.SerialNumber, (await pebble.HandshakeAsync(Blog)).SerialNumber);
            Assert.Equal(2, pebble.Issued);
            await KeysAreSecretAsync(millau, after);
        }

        // What was caught up with outlives the process: nothing is ordered anew.
        await using var again = await MillauBinary.StartWithinAsync(disk.Launcher, engine, pebble.Settings);
        await pebble.CertifiedAsync(() => again.Output, Shop, Blog);
        Assert.Equal(2, pebble.Issued);
    }

    // Of all the keys that are on the disk, no line is in the log or on a page.
    private static async Task KeysAreSecretAsync(MillauBinary millau, Dictionary<string, string> files)
    {
        using var client = new HttpClient();
        var said = millau.Output;
        foreach (var page in (string[])["", "metrics", "status", "ui"])
        {
            using var answer = await client.GetAsync(new Uri($"http://127.0.0.1:{millau.Telemetry}/{page}"));
            said += await answer.Content.ReadAsStringAsync();
        }
        var keys = files.Values.SelectMany(text => Regex.Matches(text.Replace("\\u002B", "+", StringComparison.Ordinal), "-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", RegexOptions.Singleline))
            .SelectMany(key => key.Groups[1].Value.Replace("\\n", "\n", StringComparison.Ordinal).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            .Where(line => line.Length > 16).ToList();
        Assert.True(keys.Count >= 3, $"{keys.Count}");
        Assert.All(keys, line => Assert.DoesNotContain(line, said, StringComparison.Ordinal));
        Assert.DoesNotContain("PRIVATE KEY", said);
    }

    private static async Task StoreIsAsync(MillauBinary millau, string value)
    {
        using var client = new HttpClient();
        var line = $"\nmillau_acme_store_up {value}\n";
        await Until.TrueAsync(
            async () => (await client.GetStringAsync(new Uri($"http://127.0.0.1:{millau.Telemetry}/metrics"))).Contains(line, StringComparison.Ordinal), line);
    }
}
