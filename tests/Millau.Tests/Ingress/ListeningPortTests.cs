using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Millau.Ingress;
using Millau.Tests.Wire;
using Millau.Transport;

namespace Millau.Tests.Ingress;

public class ListeningPortTests
{
    [Fact]
    public async Task A_connection_that_was_accepted_at_the_last_moment_is_handed_over_before_accepting_has_stopped()
    {
        var transport = new ScriptedTransport();
        await using var port = await ListeningPort.OpenAsync(transport, IPAddress.Loopback, 0, _ => null);

        var stopped = port.StopAcceptingAsync();
        await transport.Closing.Task.WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
        Assert.False(stopped.IsCompleted);
        transport.AllAccepted.SetResult();

        await stopped.WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_port_that_cannot_be_bound_is_closed_again()
    {
        await Assert.ThrowsAsync<IOException>(() => ListeningPort.OpenAsync(new ScriptedTransport(), IPAddress.Parse("192.0.2.1"), 0, _ => null));
    }

    /// <summary>Accepts nobody; closing takes until the test says so.</summary>
    private sealed class ScriptedTransport : ITransport, IAccepting
    {
        private Socket? _socket;

        public TaskCompletionSource Closing { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource AllAccepted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ValueTask<IAccepting> ListenAsync(Socket socket, AcceptedConnection accepted)
        {
            _socket = socket;
            return new(this);
        }

        public Task CloseAsync()
        {
            Closing.TrySetResult();
            return AllAccepted.Task;
        }

        public ValueTask DisposeAsync()
        {
            _socket?.Dispose();
            return default;
        }
    }
}
