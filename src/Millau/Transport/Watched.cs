namespace Millau.Transport;

/// <summary>What an event loop watches.</summary>
internal abstract class Watched
{
    /// <summary>Its place in the loop's table; touched under the loop's lock alone.</summary>
    public int Slot { get; set; } = -1;

    /// <summary>What the kernel tells its events with: its place, and a number that no other in that place has had lately.</summary>
    public ulong Ticket { get; set; }

    /// <summary>Called by the loop: the kernel has told of it.</summary>
    public abstract void OnEvents(uint events);

    /// <summary>Called by the loop: it ends, and nothing is told of any more.</summary>
    public abstract void OnLoopEnd();
}
