using System.Runtime.InteropServices;

namespace Millau.Transport;

/// <summary>The system calls of the event loops, as Linux has them. All descriptors are used without blocking.</summary>
internal static unsafe partial class Native
{
    public const uint In = 0x1, Out = 0x4, Error = 0x8, HangUp = 0x10, ReadHangUp = 0x2000, Exclusive = 1u << 28, EdgeTriggered = 1u << 31;

    public const int EPERM = 1, EINTR = 4, EAGAIN = 11, EINVAL = 22, EPIPE = 32, ENOSYS = 38, ECONNRESET = 104;

    private const int EpollCloseOnExec = 0x80000, EventNonBlocking = 0x80800, ControlAdd = 1, ControlDelete = 2;
    private const nuint SendQueueBytes = 0x5411;
    private const int DontWait = 0x40, NoSignal = 0x4000;
    private const int PipeFlags = 0x80800, SetPipeSize = 1031, GetPipeSize = 1032;
    private const uint SpliceMove = 1, SpliceDontWait = 2;
    private const int SigPipe = 13, Ignore = 1;

    /// <summary>One event as the kernel writes it: packed on x86-64, aligned elsewhere.</summary>
    public static readonly int EventSize = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;

    public static readonly int EventDataOffset = EventSize - 8;

    // What is sent or received in one call without the collector knowing of it, in bytes: a head and what little comes with it.
    private const int Short = 8 * 1024;

    // sendto and recvfrom, by their numbers: x86-64 has its own, the architectures after it have the same.
    private static readonly nint SendTo = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 44 : 206;
    private static readonly nint ReceiveFrom = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 45 : 207;

    /// <summary>The numbers are right for this processor.</summary>
    public static bool IsKnown =>
        RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64 or Architecture.RiscV64 or Architecture.LoongArch64;

    /// <summary>Where the bytes of a scattered send are.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Vector
    {
        public void* Start;
        public nuint Length;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Message
    {
        public void* Name;
        public uint NameLength;
        public Vector* Vectors;
        public nuint VectorCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }

    /// <summary>A new epoll instance; negative if there is none to be had.</summary>
    public static int CreateEpoll() => epoll_create1(EpollCloseOnExec);

    /// <summary>A descriptor that another thread can make readable.</summary>
    public static int CreateEvent() => eventfd(0, EventNonBlocking);

    /// <summary>Watches a descriptor from now until it is closed, or <see cref="Unwatch"/>.</summary>
    public static bool Watch(int epoll, int descriptor, uint events, ulong data)
    {
        var entry = stackalloc byte[16];
        *(uint*)entry = events;
        *(ulong*)(entry + EventDataOffset) = data;
        return epoll_ctl(epoll, ControlAdd, descriptor, entry) == 0;
    }

    /// <summary>Watches it no longer.</summary>
    public static void Unwatch(int epoll, int descriptor)
    {
        var entry = stackalloc byte[16];
        _ = epoll_ctl(epoll, ControlDelete, descriptor, entry);
    }

    /// <summary>Events: their number, 0 if a signal came between, or if there are none and they are not to be waited for.</summary>
    public static int Wait(int epoll, byte* events, int capacity, bool block)
    {
        var count = epoll_wait(epoll, events, capacity, block ? -1 : 0);
        return count >= 0 ? count : Marshal.GetLastSystemError() == EINTR ? 0 : -1;
    }

    /// <summary>Bytes received, 0 at the end of the stream, or the negative error number.</summary>
    public static int Receive(int descriptor, Span<byte> target)
    {
        fixed (byte* start = target)
        {
            while (true)
            {
                var received = Call(ReceiveFrom, descriptor, start, target.Length, DontWait);
                if (received >= 0) return (int)received;
                var error = Marshal.GetLastSystemError();
                if (error != EINTR) return -error;
            }
        }
    }

    /// <summary>Bytes sent, fewer than asked for when the kernel has no more room, or the negative error number.</summary>
    public static int Send(int descriptor, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            while (true)
            {
                var sent = Call(SendTo, descriptor, start, bytes.Length, DontWait | NoSignal);
                if (sent >= 0) return (int)sent;
                var error = Marshal.GetLastSystemError();
                if (error != EINTR) return -error;
            }
        }
    }

    /// <inheritdoc cref="Send(int, ReadOnlySpan{byte})"/>
    public static int Send(int descriptor, Vector* vectors, int count)
    {
        var message = new Message { Vectors = vectors, VectorCount = (nuint)count };
        while (true)
        {
            var sent = sendmsg(descriptor, &message, DontWait | NoSignal);
            if (sent >= 0) return (int)sent;
            var error = Marshal.GetLastSystemError();
            if (error != EINTR) return -error;
        }
    }

    /// <summary>A new pipe whose ends do not block. False if there is none to be had.</summary>
    public static bool CreatePipe(out int readEnd, out int writeEnd)
    {
        // A splice cannot ask for an error instead of the signal, as a send can. The runtime ignores it already; others might not.
        _ = signal(SigPipe, Ignore);
        var ends = stackalloc int[2];
        var done = pipe2(ends, PipeFlags) == 0;
        (readEnd, writeEnd) = done ? (ends[0], ends[1]) : (-1, -1);
        return done;
    }

    /// <summary>Asks that a pipe holds so many bytes; how many it holds now.</summary>
    public static int SetPipeCapacity(int pipe, int bytes)
    {
        var capacity = fcntl(pipe, SetPipeSize, bytes);
        return capacity >= 0 ? capacity : fcntl(pipe, GetPipeSize, 0);
    }

    /// <summary>
    /// Moves bytes between a pipe and a socket, which both must not block: their number, 0 at the end of what they come from, or
    /// the negative error number.
    /// </summary>
    public static int Splice(int from, int to, int most)
    {
        while (true)
        {
            var moved = splice(from, null, to, null, (nuint)most, SpliceMove | SpliceDontWait);
            if (moved >= 0) return (int)moved;
            var error = Marshal.GetLastSystemError();
            if (error != EINTR) return -error;
        }
    }

    /// <summary>Bytes in the socket's send queue that the peer has not acknowledged; 0 if that cannot be told.</summary>
    public static int UnacknowledgedBytes(int descriptor)
    {
        var bytes = 0;
        return ioctl(descriptor, SendQueueBytes, &bytes) == 0 ? bytes : 0;
    }

    /// <summary>Makes the descriptor of <see cref="CreateEvent"/> readable.</summary>
    public static void Signal(int descriptor)
    {
        var one = 1UL;
        _ = write(descriptor, &one, sizeof(ulong));
    }

    public static void Close(int descriptor) => _ = close(descriptor);

    [LibraryImport("libc")]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc")]
    private static partial int epoll_ctl(int epoll, int operation, int descriptor, byte* entry);

    [LibraryImport("libc")]
    private static partial int epoll_wait(int epoll, byte* events, int capacity, int timeout);

    [LibraryImport("libc")]
    private static partial int eventfd(uint value, int flags);

    // What each request takes twice: not by libc's functions, in which a thread may be cancelled, and which therefore take two interlocked
    // steps more. A short call is over in microseconds: a collection waits for it, which costs less than to tell the collector each time.
    private static nint Call(nint number, int descriptor, byte* buffer, int length, int flags) => length <= Short
        ? ShortCall(number, descriptor, buffer, (nuint)length, flags, null, null)
        : LongCall(number, descriptor, buffer, (nuint)length, flags, null, null);

    [LibraryImport("libc", EntryPoint = "syscall"), SuppressGCTransition]
    private static partial nint ShortCall(nint number, nint descriptor, byte* buffer, nuint length, nint flags, void* address, void* addressLength);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint LongCall(nint number, nint descriptor, byte* buffer, nuint length, nint flags, void* address, void* addressLength);

    [LibraryImport("libc")]
    private static partial nint sendmsg(int descriptor, Message* message, int flags);

    [LibraryImport("libc")]
    private static partial int pipe2(int* ends, int flags);

    [LibraryImport("libc")]
    private static partial int fcntl(int descriptor, int command, int argument);

    [LibraryImport("libc")]
    private static partial nint splice(int from, long* fromOffset, int to, long* toOffset, nuint length, uint flags);

    [LibraryImport("libc")]
    private static partial nint signal(int number, nint handler);

    [LibraryImport("libc")]
    private static partial nint write(int descriptor, void* buffer, nuint length);

    [LibraryImport("libc")]
    private static partial int ioctl(int descriptor, nuint request, int* argument);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
