using Millau.Transport;

namespace Millau.Tests.Transport;

/// <summary>Runs something on an event loop, as an event of a descriptor that is ready.</summary>
internal static class LoopCall
{
    /// <summary>Runs it once; what it throws is thrown here.</summary>
    public static async Task RunAsync(this EventLoop loop, Action action)
    {
        var descriptor = Native.CreateEvent();
        var call = new Call(action);
        Native.Signal(descriptor);
        try
        {
            Assert.True(loop.Add(call, descriptor, Native.In | Native.EdgeTriggered));
            await call.Done.WaitAsync(Wire.ScriptedConnection.Deadline);
            loop.Remove(call, descriptor);
        }
        finally
        {
            Native.Close(descriptor);
        }
    }

    private sealed class Call(Action action) : Watched
    {
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Done => _done.Task;

        public override void OnEvents(uint events)
        {
            try
            {
                action();
                _done.TrySetResult();
            }
            catch (Exception e)
            {
                _done.TrySetException(e);
            }
        }

        public override void OnLoopEnd() => _done.TrySetCanceled();
    }
}
