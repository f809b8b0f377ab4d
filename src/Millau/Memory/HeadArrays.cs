using System.Buffers;

namespace Millau.Memory;

/// <summary>
/// Arrays for message heads, which each request needs two of: those of the usual size are kept by the thread that gives them back,
/// which is the one that takes them next.
/// </summary>
/// <remarks>
/// The framework's shared pool keeps one of a size for a thread, and 32 for a core, which is less than the requests that one core has in
/// flight; another one takes two locks for each request.
/// </remarks>
internal sealed class HeadArrays : ArrayPool<byte>
{
    /// <summary>Bytes of the least array, which nearly all heads fit in.</summary>
    public const int UsualLength = 2048;

    private const int MostKept = 128;

    [ThreadStatic]
    private static Shelf? t_shelf;

    // What is longer, and what a thread has no room for.
    private readonly ArrayPool<byte> _others = Create(maxArrayLength: 1 << 20, maxArraysPerBucket: 256);

    private HeadArrays()
    {
    }

    /// <summary>With the account that <see cref="BufferPool"/> keeps.</summary>
    public static BufferPool Pool { get; } = new(new HeadArrays(), BufferLedger.Shared);

    public override byte[] Rent(int minimumLength)
    {
        if (minimumLength > UsualLength) return _others.Rent(minimumLength);
        return t_shelf is { Count: > 0 } shelf ? shelf.Arrays[--shelf.Count] : _others.Rent(UsualLength);
    }

    public override void Return(byte[] array, bool clearArray = false)
    {
        if (array.Length == UsualLength)
        {
            var shelf = t_shelf ??= new Shelf();
            if (shelf.Count < MostKept)
            {
                shelf.Arrays[shelf.Count++] = array;
                return;
            }
        }
        _others.Return(array, clearArray);
    }

    // What was taken stays referred to until another takes its place: it comes back to this thread soon.
    private sealed class Shelf
    {
        public readonly byte[][] Arrays = new byte[MostKept][];
        public int Count;
    }
}
