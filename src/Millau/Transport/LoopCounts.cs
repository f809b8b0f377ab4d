namespace Millau.Transport;

/// <summary>
/// Numbers that each request counts up or down. Every event loop counts for itself, and who wants to know adds that up; threads that are
/// no loop share a place.
/// </summary>
/// <remarks>
/// Concurrency: any thread, at any time. A sum may have part of what is counted meanwhile: of what one thread counts up and another one
/// down, perhaps only the latter.
/// </remarks>
/// <param name="length">How many numbers; they are named by their index.</param>
internal sealed class LoopCounts(int length) : LoopLocal<long[]>
{
    private long[]? _elsewhere;

    /// <summary>A sum, of this moment.</summary>
    public long this[int index]
    {
        get
        {
            var sum = Volatile.Read(ref _elsewhere) is { } elsewhere ? Volatile.Read(ref elsewhere[index]) : 0;
            foreach (ref readonly var place in All)
                if (place.Owner is not null) sum += Volatile.Read(ref place.Value[index]);
            return sum;
        }
    }

    public void Add(int index, long count = 1) => Add(EventLoop.Current, index, count);

    /// <param name="loop">As <see cref="LoopLocal{T}.Of"/> says.</param>
    /// <param name="index">Which.</param>
    /// <param name="count">Negative to count down.</param>
    public void Add(EventLoop? loop, int index, long count)
    {
        if (Of(loop) is { } own) Volatile.Write(ref own[index], own[index] + count);
        else Interlocked.Add(ref Elsewhere()[index], count);
    }

    protected override long[] Make() => new long[length];

    private long[] Elsewhere()
    {
        if (Volatile.Read(ref _elsewhere) is { } numbers) return numbers;
        numbers = Make();
        return Interlocked.CompareExchange(ref _elsewhere, numbers, null) ?? numbers;
    }
}
