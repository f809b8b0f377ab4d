namespace Millau.SwarmTests.Support;

/// <summary><c>millau status</c> in a container, as an operator asks it.</summary>
internal static class MillauStatus
{
    /// <summary>What it prints. Its exit code says that something is wrong, which is the point.</summary>
    public static Task<string> OfAsync(Node node, string container, params string[] args) =>
        Shell.RunAsync("sh", ["-c", "c=$0; docker exec \"$c\" /millau status \"$@\" 2>&1 || test $? -eq 1", container, .. args], node.DockerHost);

    /// <summary>Waits until it tells a problem, in some words; gives back all that it told then.</summary>
    public static async Task<string> UntilToldAsync(Node node, string container, string code, params string[] words)
    {
        var table = "";
        await Until.TrueAsync($"{code} is told", async () =>
        {
            try
            {
                table = await OfAsync(node, container);
            }
            catch (InvalidOperationException e)
            {
                // The container does not run yet, or its port is not open yet.
                table = e.Message;
            }
            return table.Contains($"[{code}]", StringComparison.Ordinal) && words.All(table.Contains);
        }, () => table);
        return table;
    }
}
