using System.Net.Sockets;

namespace Millau.Tests.Transport;

internal static class TakenDescriptor
{
    /// <summary>The descriptor of a socket, which does not own it any more; it does not block.</summary>
    public static int TakeDescriptor(this Socket socket)
    {
        socket.Blocking = false;
        var descriptor = (int)socket.SafeHandle.DangerousGetHandle();
        socket.SafeHandle.SetHandleAsInvalid();
        return descriptor;
    }
}

/// <summary>The service of a connection, which is the test itself from here on.</summary>
internal sealed class Begun : IThreadPoolWorkItem
{
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Task => _begun.Task;

    public void Execute() => _begun.SetResult();
}
