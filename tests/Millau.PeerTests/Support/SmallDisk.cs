namespace Millau.PeerTests.Support;

/// <summary>
/// A small file system of its own (tmpfs) on a directory, which only what is started within sees: its mount namespace, and it, are
/// gone with the last process there. Needs root.
/// </summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private const string Filler = "filler";

    private readonly string _directory;
    private readonly Tool _holder;

    private SmallDisk(string directory, Tool holder)
    {
        _directory = directory;
        _holder = holder;
    }

    /// <summary>What a program is started with to see it.</summary>
    public string[] Launcher => ["nsenter", "-t", $"{_holder.Id}", "-m"];

    /// <param name="directory">Made if it is not there. Outside nobody sees what is in it.</param>
    /// <param name="kilobytes">Its size.</param>
    public static async Task<SmallDisk> MountAsync(string directory, int kilobytes)
    {
        Directory.CreateDirectory(directory);
        // Should the test be killed, it ends by itself.
        var holder = Tool.Start("unshare", ["-m", "sh", "-c",
            $"mount -t tmpfs -o size={kilobytes}k,mode=700 millau-test '{directory}' && echo mounted && exec sleep 600"]);
        var disk = new SmallDisk(directory, holder);
        try
        {
            await Until.TrueAsync(() =>
            {
                Assert.False(holder.HasEnded, holder.Output);
                return holder.Output.Contains("mounted", StringComparison.Ordinal);
            }, "a file system of its own");
            return disk;
        }
        catch
        {
            await disk.DisposeAsync();
            throw;
        }
    }

    /// <summary>Leaves no room for a single byte.</summary>
    public async Task FillAsync()
    {
        var filled = await RunAsync($"dd if=/dev/zero of={Filler} bs=4096");
        Assert.Contains("No space left", filled.Error);
    }

    /// <summary>Gives the room back.</summary>
    public async Task EmptyAsync() => _ = (await RunAsync($"rm {Filler}")).Succeeded;

    /// <summary>The content of all its files, by their paths below the directory; without what it was filled with.</summary>
    public async Task<Dictionary<string, string>> ReadAsync()
    {
        var files = (await RunAsync($"find . -type f ! -name {Filler}")).Succeeded.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var content = new Dictionary<string, string>();
        foreach (var file in files) content[file] = (await RunAsync($"cat '{file}'")).Succeeded;
        return content;
    }

    public ValueTask DisposeAsync() => _holder.DisposeAsync();

    private Task<ToolResult> RunAsync(string script) =>
        Tool.RunAsync(Launcher[0], [.. Launcher[1..], "sh", "-c", $"cd '{_directory}' && {script}"]);
}
