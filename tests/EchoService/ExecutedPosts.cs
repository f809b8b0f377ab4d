using System.Collections.Concurrent;

namespace Millau.EchoService;

/// <summary>
/// Remembers which POSTs this instance executed, by the id in their <c>X-Request-Id</c>, in memory and, when a directory is
/// given, as one line an execution in a file of this instance there: what a killed instance did is still known.
/// </summary>
internal sealed class ExecutedPosts(string? directory, string instance)
{
    private readonly ConcurrentDictionary<string, int> _counts = new();
    private readonly Lock _gate = new();
    private readonly FileStream? _file = directory is null
        ? null
        : new FileStream(Path.Combine(directory, instance), FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);

    /// <summary>Notes one execution before it is answered, so that no answered POST is missing from the record.</summary>
    public int Add(string id)
    {
        // Handed to the kernel, which keeps it when this process is killed; a machine that dies is not tested.
        if (_file is not null)
            lock (_gate)
                _file.Write(System.Text.Encoding.ASCII.GetBytes(id + "\n"));
        return _counts.AddOrUpdate(id, 1, (_, n) => n + 1);
    }

    /// <summary>Every id with how often it was executed here, one a line.</summary>
    public string List() => string.Concat(_counts.Select(pair => $"{pair.Key} {pair.Value}\n"));
}
