using System.Runtime.CompilerServices;

namespace Millau.Transport;

/// <summary>
/// An object for each event loop, which that loop alone changes: so it takes neither a lock nor an atomic operation, and no processor
/// waits for what another one writes.
/// </summary>
/// <remarks>Concurrency: any thread, at any time. What others may read of the objects is up to who makes them.</remarks>
internal abstract class LoopLocal<T>
    where T : class
{
    // By the numbers of the loops. Never changed once it is here: a loop that asks for the first time makes another.
    private Place[] _places = [];

    /// <summary>What one loop has.</summary>
    protected readonly struct Place(EventLoop owner, T value)
    {
        /// <summary>Null where the loop of this number has not asked yet, and then there is no value.</summary>
        public EventLoop? Owner => owner;

        public T Value => value;
    }

    /// <summary>
    /// The object of a loop. Null without a loop, and for one whose number one of another set has here: the loops of a process are one
    /// set, but for tests.
    /// </summary>
    /// <param name="loop">What <see cref="EventLoop.Current"/> is to the caller, which may ask for several objects.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected T? Of(EventLoop? loop)
    {
        if (loop is null) return null;
        var places = Volatile.Read(ref _places);
        var number = loop.Number;
        if ((uint)number >= (uint)places.Length) return Add(loop);
        ref readonly var place = ref places[number];
        return place.Owner == loop ? place.Value : Add(loop);
    }

    /// <summary>Those of all loops.</summary>
    protected ReadOnlySpan<Place> All => Volatile.Read(ref _places);

    /// <summary>Called on the loop, when it asks for the first time.</summary>
    protected abstract T Make();

    private T? Add(EventLoop loop)
    {
        Place? own = null;
        while (true)
        {
            var places = Volatile.Read(ref _places);
            var next = new Place[Math.Max(places.Length, loop.Number + 1)];
            places.CopyTo(next, 0);
            if (next[loop.Number].Owner is not null) return null;
            next[loop.Number] = own ??= new Place(loop, Make());
            if (Interlocked.CompareExchange(ref _places, next, places) == places) return own.Value.Value;
        }
    }
}
