using System.Collections.Concurrent;
using System.Diagnostics;

namespace Millau.Memory;

/// <summary>
/// Which pooled buffers are out, in DEBUG builds, so that tests find each one that does not come back, comes back twice, or is
/// written to by somebody who has given it back. Other builds keep no account: the calls are not compiled.
/// </summary>
internal sealed class BufferLedger
{
    // What is read from a buffer that was given back looks like nothing that anybody sends.
    private const byte Poison = 0xDB;

    private readonly ConcurrentDictionary<object, StackTrace> _out = new(ReferenceEqualityComparer.Instance);
    private int _abandoned;

    /// <summary>The one of all pools that serve requests.</summary>
    public static BufferLedger Shared { get; } = new();

    /// <summary>Buffers that were left to the collector on purpose.</summary>
    public int Abandoned => Volatile.Read(ref _abandoned);

    /// <summary>How many are out.</summary>
    public int Count => _out.Count;

    /// <summary>For each that is out, the calls that rented it.</summary>
    public IEnumerable<string> Out => _out.Values.Select(trace => trace.ToString());

    /// <summary>A buffer goes out.</summary>
    /// <param name="buffer">The same object as will come back.</param>
    [Conditional("DEBUG")]
    public void Rented(object buffer)
    {
        if (!_out.TryAdd(buffer, new StackTrace(2))) throw new InvalidOperationException("A pool gave out a buffer that is out already.");
    }

    /// <summary>A buffer comes back; whoever still reads it gets nothing sensible.</summary>
    /// <exception cref="InvalidOperationException">It is not out: it came back before, or never came from here.</exception>
    [Conditional("DEBUG")]
    public void Returned(object buffer, Span<byte> content)
    {
        if (!_out.TryRemove(buffer, out _)) throw new InvalidOperationException("A buffer was returned that is not out: it came back twice, or is of another pool.");
        content.Fill(Poison);
    }

    /// <summary>A buffer does not come back, for somebody may write to it yet.</summary>
    [Conditional("DEBUG")]
    public void Abandon(object buffer)
    {
        if (!_out.TryRemove(buffer, out _)) throw new InvalidOperationException("A buffer was abandoned that is not out.");
        Interlocked.Increment(ref _abandoned);
    }

    /// <summary>Nobody has written to a buffer since it came back.</summary>
    /// <exception cref="InvalidOperationException">Somebody has.</exception>
    [Conditional("DEBUG")]
    public static void Unchanged(ReadOnlySpan<byte> content)
    {
        if (content.ContainsAnyExcept(Poison)) throw new InvalidOperationException("A buffer was written to after it was returned.");
    }
}
