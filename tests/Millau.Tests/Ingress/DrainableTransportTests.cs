using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;
using Millau.Ingress;
using Millau.Tests.Wire;

namespace Millau.Tests.Ingress;

public class DrainableTransportTests
{
    [Fact]
    public async Task A_connection_that_was_accepted_at_the_last_moment_is_counted_before_the_port_is_closed()
    {
        var inner = new ScriptedListeners();
        var transport = new DrainableTransport(_ => inner) { Patience = TimeSpan.FromSeconds(60) };
        var listener = await transport.BindAsync(new IPEndPoint(IPAddress.Loopback, 0), TestContext.Current.CancellationToken);
        var accepting = listener.AcceptAsync(TestContext.Current.CancellationToken);

        var stopped = transport.StopAcceptingAsync();
        Assert.True(inner.IsUnbound);
        Assert.False(stopped.IsCompleted);
        await using var last = new DefaultConnectionContext();
        inner.Accepted.TryWrite(last);
        Assert.Same(last, await accepting);
        inner.Accepted.TryWrite(null);
        Assert.Null(await listener.AcceptAsync(TestContext.Current.CancellationToken));
        await stopped.WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);

        Assert.Equal(1, transport.OpenConnections);
    }

    [Fact]
    public async Task A_server_that_does_not_ask_for_connections_is_not_waited_for_without_end()
    {
        var transport = new DrainableTransport(_ => new ScriptedListeners()) { Patience = TimeSpan.FromMilliseconds(10) };
        await transport.BindAsync(new IPEndPoint(IPAddress.Loopback, 0), TestContext.Current.CancellationToken);

        await transport.StopAcceptingAsync().WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
    }

    /// <summary>One listener, whose connections the test hands over, also when it is unbound.</summary>
    private sealed class ScriptedListeners : IConnectionListenerFactory, IConnectionListener
    {
        private readonly Channel<ConnectionContext?> _accepted = Channel.CreateUnbounded<ConnectionContext?>();

        public ChannelWriter<ConnectionContext?> Accepted => _accepted.Writer;

        public bool IsUnbound { get; private set; }

        public EndPoint EndPoint { get; private set; } = new IPEndPoint(IPAddress.None, 0);

        public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
        {
            EndPoint = endpoint;
            return new(this);
        }

        public ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) =>
            _accepted.Reader.ReadAsync(cancellationToken);

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            IsUnbound = true;
            return default;
        }

        public ValueTask DisposeAsync() => default;
    }
}
