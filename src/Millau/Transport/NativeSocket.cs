using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Millau.Transport;

/// <summary>
/// How sockets of TCP come to be and what can be set and asked of them, as Linux has it. None of them blocks, and no program that is
/// started inherits one.
/// </summary>
internal static unsafe partial class NativeSocket
{
    private const int EPERM = 1, EINTR = 4, EAGAIN = 11, ENOMEM = 12, EACCES = 13, ENFILE = 23, EMFILE = 24, ENONET = 64, EPROTO = 71,
        ENOPROTOOPT = 92, EOPNOTSUPP = 95, EADDRINUSE = 98, EADDRNOTAVAIL = 99, ENETDOWN = 100, ENETUNREACH = 101, ECONNABORTED = 103, ECONNRESET = 104, ENOBUFS = 105, ENOTCONN = 107,
        ETIMEDOUT = 110, ECONNREFUSED = 111, EHOSTDOWN = 112, EHOSTUNREACH = 113, EINPROGRESS = 115;

    private const ushort InterNetwork = 2, InterNetworkV6 = 10;
    private const int Stream = 1, NonBlockingCloseOnExec = 0x80800;
    private const int SolSocket = 1, SoError = 4, SoKeepAlive = 9, SoLinger = 13;
    private const int IpProtoTcp = 6, TcpNoDelay = 1, TcpKeepIdle = 4, TcpKeepInterval = 5, TcpKeepCount = 6;
    private const int ShutdownWrite = 1;

    // Of the largest address that there is.
    private const int AddressSize = 128;

    // RFC 4291 section 2.5.5.2.
    private static ReadOnlySpan<byte> MappedPrefix => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF];

    /// <summary>A new socket that sends at once what it is given; success, or why there is none.</summary>
    public static SocketError Create(AddressFamily family, out int descriptor)
    {
        var domain = family == AddressFamily.InterNetworkV6 ? InterNetworkV6 : InterNetwork;
        descriptor = socket(domain, Stream | NonBlockingCloseOnExec, IpProtoTcp);
        if (descriptor < 0) return LastError();
        Set(descriptor, IpProtoTcp, TcpNoDelay, 1);
        return SocketError.Success;
    }

    /// <summary>
    /// Takes the connection that has waited longest: success; <see cref="SocketError.WouldBlock"/> if there is none;
    /// <see cref="SocketError.ConnectionAborted"/> if that one went while it waited; or another reason, for which no other fares better.
    /// </summary>
    /// <param name="listening">Its options, such as to send at once, are those of the connection too.</param>
    /// <param name="descriptor">The caller's to close.</param>
    /// <param name="peer">As the kernel says.</param>
    public static SocketError Accept(int listening, out int descriptor, out IPEndPoint? peer)
    {
        var address = stackalloc byte[AddressSize];
        while (true)
        {
            var length = (uint)AddressSize;
            descriptor = accept4(listening, address, &length, NonBlockingCloseOnExec);
            peer = descriptor < 0 ? null : ToEndPoint(new ReadOnlySpan<byte>(address, (int)Math.Min(length, AddressSize)));
            if (descriptor >= 0) return SocketError.Success;
            var error = Marshal.GetLastSystemError();
            if (error == EINTR) continue;
            return error switch
            {
                EAGAIN => SocketError.WouldBlock,
                // What Linux tells of the connection itself: accept(2), "Error handling".
                ECONNABORTED or ECONNRESET or EPROTO or ENOPROTOOPT or EOPNOTSUPP or ENONET or EHOSTDOWN or EHOSTUNREACH or ENETDOWN
                    or ENETUNREACH or ETIMEDOUT => SocketError.ConnectionAborted,
                _ => ToSocketError(error),
            };
        }
    }

    /// <summary>The own address and port; null if they are not to be had.</summary>
    public static IPEndPoint? LocalEndPoint(int descriptor)
    {
        var address = stackalloc byte[AddressSize];
        var length = (uint)AddressSize;
        return getsockname(descriptor, address, &length) == 0
            ? ToEndPoint(new ReadOnlySpan<byte>(address, (int)Math.Min(length, AddressSize)))
            : null;
    }

    /// <summary>Begins to connect: success, <see cref="SocketError.InProgress"/>, or why not.</summary>
    public static SocketError Connect(int descriptor, EndPoint endPoint)
    {
        var address = endPoint.Serialize();
        fixed (byte* start = address.Buffer.Span)
            return connect(descriptor, start, (uint)address.Size) == 0 ? SocketError.Success : LastError();
    }

    /// <summary>Why it failed, once; success if it did not.</summary>
    public static SocketError TakeError(int descriptor)
    {
        var error = 0;
        var length = (uint)sizeof(int);
        if (getsockopt(descriptor, SolSocket, SoError, &error, &length) != 0) return LastError();
        return error == 0 ? SocketError.Success : ToSocketError(error);
    }

    /// <summary>Has the kernel look after a silent peer.</summary>
    /// <param name="descriptor">Of a connected socket.</param>
    /// <param name="silence">Seconds without a byte before the first question.</param>
    /// <param name="interval">Seconds between questions.</param>
    /// <param name="tries">Questions without an answer, after which the connection has failed.</param>
    public static SocketError KeepAlive(int descriptor, int silence, int interval, int tries) =>
        Set(descriptor, SolSocket, SoKeepAlive, 1)
            && Set(descriptor, IpProtoTcp, TcpKeepIdle, silence)
            && Set(descriptor, IpProtoTcp, TcpKeepInterval, interval)
            && Set(descriptor, IpProtoTcp, TcpKeepCount, tries)
            ? SocketError.Success
            : LastError();

    /// <summary>Tells the peer that nothing more is sent; what it sends is still received. False if the connection has gone.</summary>
    public static bool ShutdownSend(int descriptor) => shutdown(descriptor, ShutdownWrite) == 0;

    /// <summary>Its close will be a reset, and what is not sent yet is lost.</summary>
    public static void ResetOnClose(int descriptor)
    {
        // Linger: switched on, for 0 seconds.
        var linger = stackalloc int[] { 1, 0 };
        _ = setsockopt(descriptor, SolSocket, SoLinger, linger, 2 * sizeof(int));
    }

    private static bool Set(int descriptor, int level, int option, int value) =>
        setsockopt(descriptor, level, option, &value, sizeof(int)) == 0;

    // An IPv4 client of a socket of both families is shown as what it is.
    private static IPEndPoint? ToEndPoint(ReadOnlySpan<byte> address)
    {
        if (address.Length < 8) return null;
        var port = BinaryPrimitives.ReadUInt16BigEndian(address[2..]);
        switch (MemoryMarshal.Read<ushort>(address))
        {
            case InterNetwork:
                return new IPEndPoint(new IPAddress(address.Slice(4, 4)), port);
            case InterNetworkV6 when address.Length >= 28:
                var bytes = address.Slice(8, 16);
                return bytes.StartsWith(MappedPrefix)
                    ? new IPEndPoint(new IPAddress(bytes[MappedPrefix.Length..]), port)
                    : new IPEndPoint(new IPAddress(bytes, MemoryMarshal.Read<uint>(address[24..])), port);
            default:
                return null;
        }
    }

    private static SocketError LastError() => ToSocketError(Marshal.GetLastSystemError());

    private static SocketError ToSocketError(int error) => error switch
    {
        EINTR or EINPROGRESS or EAGAIN => SocketError.InProgress,
        EMFILE or ENFILE => SocketError.TooManyOpenSockets,
        ENOBUFS or ENOMEM => SocketError.NoBufferSpaceAvailable,
        EADDRINUSE => SocketError.AddressAlreadyInUse,
        EADDRNOTAVAIL => SocketError.AddressNotAvailable,
        ENETDOWN => SocketError.NetworkDown,
        ENETUNREACH => SocketError.NetworkUnreachable,
        EHOSTUNREACH => SocketError.HostUnreachable,
        ECONNREFUSED => SocketError.ConnectionRefused,
        ECONNRESET => SocketError.ConnectionReset,
        ECONNABORTED => SocketError.ConnectionAborted,
        ENOTCONN => SocketError.NotConnected,
        ETIMEDOUT => SocketError.TimedOut,
        EACCES or EPERM => SocketError.AccessDenied,
        _ => SocketError.SocketError,
    };

    [LibraryImport("libc")]
    private static partial int socket(int family, int type, int protocol);

    [LibraryImport("libc")]
    private static partial int accept4(int listening, byte* address, uint* length, int flags);

    [LibraryImport("libc")]
    private static partial int connect(int descriptor, byte* address, uint length);

    [LibraryImport("libc")]
    private static partial int getsockname(int descriptor, byte* address, uint* length);

    [LibraryImport("libc")]
    private static partial int getsockopt(int descriptor, int level, int option, int* value, uint* length);

    [LibraryImport("libc")]
    private static partial int setsockopt(int descriptor, int level, int option, int* value, uint length);

    [LibraryImport("libc")]
    private static partial int shutdown(int descriptor, int how);
}
