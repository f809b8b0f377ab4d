using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Millau.Ingress;

/// <summary>
/// Closes a listening socket without resetting anybody. The kernel completes connections ahead of <c>accept</c>, and resets
/// those that still wait there when the listener is closed: a client that was not refused, and whose request is lost.
/// </summary>
/// <remarks>
/// So the gate is shut first: a socket filter drops what asks for a new connection (such a client tries again after a
/// second, and is refused then), while what the kernel has promised already is completed and accepted as before. Linux
/// only; where the filter is not to be had the socket is closed as it is.
/// </remarks>
internal static class ListenGate
{
    private const int SolSocket = 1, SoAttachFilter = 26, IpProtoTcp = 6, TcpInfo = 11;

    // In a listener's TCP_INFO this field is the number of connections that wait to be accepted.
    private const int UnackedOffset = 24;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private const int MostPauses = 100;

    // A TCP segment's flags are its byte 13. SYN: keep 0 bytes of it, which drops it; anything else: keep all.
    private static readonly ulong[] DropSyn =
    [
        Instruction(0x30, 0, 0, 13), // load byte 13
        Instruction(0x45, 0, 1, 0x02), // SYN set? next : the one after
        Instruction(0x06, 0, 0, 0), // return 0
        Instruction(0x06, 0, 0, uint.MaxValue), // return everything
    ];

    /// <summary>
    /// Lets no new connection begin, and waits until those that the kernel has completed are accepted: a second at most.
    /// The accept loop must go on meanwhile. Real time, because it is the kernel that is waited for.
    /// </summary>
    public static async Task ShutAsync(Socket listener)
    {
        try
        {
            if (!OperatingSystem.IsLinux()) return;
            AttachFilter(listener);
            // One pause at least: a handshake that is under way ends within it.
            for (var i = 0; i == 0 || (i < MostPauses && Waiting(listener) > 0); i++)
                await Task.Delay(Pause).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Not to be had here, or closed by somebody else: then it is closed without.
        }
    }

    private static void AttachFilter(Socket listener)
    {
        var code = GCHandle.Alloc(DropSyn, GCHandleType.Pinned);
        try
        {
            // struct sock_fprog: a 16-bit length, padding to the size of a pointer, the pointer. The kernel copies the code.
            Span<byte> program = stackalloc byte[2 * nint.Size];
            program.Clear();
            MemoryMarshal.Write(program, (ushort)DropSyn.Length);
            MemoryMarshal.Write(program[nint.Size..], code.AddrOfPinnedObject());
            listener.SetRawSocketOption(SolSocket, SoAttachFilter, program);
        }
        finally
        {
            code.Free();
        }
    }

    private static int Waiting(Socket listener)
    {
        Span<byte> info = stackalloc byte[UnackedOffset + sizeof(int)];
        return listener.GetRawSocketOption(IpProtoTcp, TcpInfo, info) < info.Length ? 0 : MemoryMarshal.Read<int>(info[UnackedOffset..]);
    }

    // struct sock_filter: 16 bits of code, 8 + 8 bits of jumps, 32 bits of operand, in the machine's byte order.
    private static ulong Instruction(ushort code, byte ifTrue, byte ifFalse, uint operand)
    {
        Span<byte> bytes = stackalloc byte[8];
        MemoryMarshal.Write(bytes, code);
        bytes[2] = ifTrue;
        bytes[3] = ifFalse;
        MemoryMarshal.Write(bytes[4..], operand);
        return MemoryMarshal.Read<ulong>(bytes);
    }
}
