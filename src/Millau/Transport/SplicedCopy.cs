using System.Runtime.CompilerServices;
using Millau.Async;

namespace Millau.Transport;

/// <summary>How a copy ended.</summary>
internal enum SpliceEnd
{
    /// <summary>All bytes that were asked for are with the target.</summary>
    Done,

    /// <summary>The source ended before; all that it sent is with the target.</summary>
    SourceEnded,

    /// <summary>The source failed, or was closed here; all that it sent before is with the target.</summary>
    SourceFailed,

    /// <summary>The target failed, or was closed here; some of what was taken from the source may be lost.</summary>
    TargetFailed,

    /// <summary>There is no pipe, or the kernel does not splice. Nothing is lost: the rest may be copied in another way.</summary>
    NotSplicable,
}

/// <summary>
/// Copies from one socket to the other inside the kernel. May be run again after its end; nothing is allocated once it ran.
/// </summary>
/// <remarks>
/// Concurrency: while it runs it is the one reader of the source and the one writer of the target. The two may be on different
/// loops; it goes on on the loop of the one that it waited for. It has no deadlines of its own: whoever closes one of the sockets
/// ends it. A round takes up what the pipe holds, which the target must have taken before the next, so that a slow target
/// slows the source.
/// </remarks>
internal sealed class SplicedCopy(SplicePipes pipes)
{
    // No more than the kernel would move in one call anyway, and far from the limits of an int.
    private const int MostAtOnce = 1024 * 1024;

    private readonly LoopTurn _turn = new();
    private long _copied;

    /// <summary>Bytes that the target's side of the kernel has, of the run that is under way or the last one. Any thread.</summary>
    public long Copied => Volatile.Read(ref _copied);

    /// <param name="bytes">How many; <see cref="long.MaxValue"/> for all, and then the good end is <see cref="SpliceEnd.SourceEnded"/>.</param>
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    public async ValueTask<SpliceEnd> RunAsync(LoopSocket source, LoopSocket target, long bytes)
    {
        Volatile.Write(ref _copied, 0);
        if (pipes.TryTake() is not { } pipe) return SpliceEnd.NotSplicable;
        try
        {
            for (var left = bytes; left > 0;)
            {
                if (!source.MayReceive)
                {
                    _turn.Waited();
                    await source.WaitReadable().ConfigureAwait(false);
                }
                var received = source.SpliceTo(pipe, (int)Math.Min(left, MostAtOnce));
                if (received == LoopSocket.WouldBlock) continue;
                if (received <= 0) return EndOf(received);
                left -= received;
                while (pipe.Count > 0)
                {
                    var sent = target.SpliceFrom(pipe);
                    if (sent > 0) Volatile.Write(ref _copied, _copied + sent);
                    else if (sent == LoopSocket.WouldBlock) await target.WaitWritable().ConfigureAwait(false);
                    else return SpliceEnd.TargetFailed;
                }
                await _turn.Moved(source.Loop, received).ConfigureAwait(false);
            }
            return SpliceEnd.Done;
        }
        finally
        {
            pipes.GiveBack(pipe);
        }
    }

    private SpliceEnd EndOf(int received)
    {
        if (received == 0) return SpliceEnd.SourceEnded;
        if (received is not (-Native.EINVAL or -Native.ENOSYS or -Native.EPERM)) return SpliceEnd.SourceFailed;
        pipes.Refuse();
        return SpliceEnd.NotSplicable;
    }
}
