using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Millau.Ingress;
using Millau.Tests.Wire;

namespace Millau.Tests.Ingress;

/// <summary>What the kernel does with clients while a port is closed. Real sockets, and nothing that needs a privilege.</summary>
public sealed class ListenGateTests : IDisposable
{
    private const int IpProtoTcp = 6, TcpDeferAccept = 9;

    private static readonly TimeSpan Long = TimeSpan.FromSeconds(60);

    private readonly Socket _listener = new(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
    private readonly List<Socket> _clients = [];

    public void Dispose()
    {
        foreach (var client in _clients) client.Dispose();
        _listener.Dispose();
    }

    [Theory]
    [InlineData("   0: 0100007F:1F90 0100007F:C350 03 00000000:00000000 01:00000055 00000000", true)]
    [InlineData("  12: 0000000000000000FFFF000007002E7F:1F90 0000000000000000FFFF00000100007F:BB3C 03 00000000:00000000", true)]
    [InlineData("   0: 0100007F:1F90 0100007F:C350 01 00000000:00000000", false)]
    [InlineData("   0: 0100007F:1F91 0100007F:C350 03 00000000:00000000", false)]
    [InlineData("   0: 0100007F:C350 0100007F:1F90 03 00000000:00000000", false)]
    [InlineData("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid", false)]
    [InlineData("", false)]
    public void A_handshake_is_told_from_the_kernels_other_lines(string line, bool isOne) =>
        Assert.Equal(isOne, ListenGate.IsHandshake(line, 8080));

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task Newcomers_are_refused_at_once_while_the_listener_is_open(string address)
    {
        Listen();

        await ListenGate.ShutAsync(_listener, Long).WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);

        var refused = Assert.Throws<SocketException>(() => Connect(address));
        Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);
        Assert.NotNull(_listener.LocalEndPoint);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task Whoever_waits_to_be_accepted_is_waited_for_and_can_be_served(string address)
    {
        Listen();
        var client = Connect(address);

        var shut = ListenGate.ShutAsync(_listener, Long);
        Assert.Throws<SocketException>(() => Connect(address));
        Assert.False(shut.IsCompleted);
        using var accepted = _listener.Accept();
        await shut.WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);

        AssertTalk(client, accepted);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task A_handshake_that_is_under_way_is_waited_for_and_can_be_completed(string address)
    {
        Listen(deferred: true);
        var client = Connect(address);

        var shut = ListenGate.ShutAsync(_listener, Long);
        Assert.Throws<SocketException>(() => Connect(address));
        Assert.False(_listener.Poll(0, SelectMode.SelectRead));
        Assert.False(shut.IsCompleted);
        client.Send("a"u8);
        using var accepted = _listener.Accept();
        await shut.WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);

        Assert.Equal(1, accepted.Receive(new byte[2]));
        AssertTalk(client, accepted);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Whoever_never_gets_through_is_given_up(bool inHandshake)
    {
        Listen(inHandshake);
        Connect("127.0.0.1");

        await ListenGate.ShutAsync(_listener, TimeSpan.FromMilliseconds(50)).WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Handshakes_with_other_ports_are_not_waited_for()
    {
        using var other = new ListenGateTests();
        other.Listen(deferred: true);
        other.Connect("127.0.0.1");
        Listen();

        await ListenGate.ShutAsync(_listener, Long).WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Connections_that_were_accepted_before_go_on()
    {
        Listen();
        var client = Connect("127.0.0.1");
        using var accepted = _listener.Accept();

        await ListenGate.ShutAsync(_listener, Long).WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);

        AssertTalk(client, accepted);
    }

    [Fact]
    public async Task A_listener_that_somebody_else_has_closed_needs_no_gate()
    {
        Listen();
        _listener.Dispose();

        await ListenGate.ShutAsync(_listener, Long).WaitAsync(ScriptedConnection.Deadline, TestContext.Current.CancellationToken);
    }

    /// <param name="deferred">A handshake ends with the client's first byte only: so it can be held up without any privilege.</param>
    private void Listen(bool deferred = false)
    {
        _listener.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        if (deferred) _listener.SetRawSocketOption(IpProtoTcp, TcpDeferAccept, MemoryMarshal.AsBytes<int>([60]));
        _listener.Listen();
    }

    // Blocking: an asynchronous one takes a reset that follows at once for a refusal.
    private Socket Connect(string address)
    {
        var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        _clients.Add(client);
        client.Connect(IPAddress.Parse(address), ((IPEndPoint)_listener.LocalEndPoint!).Port);
        return client;
    }

    private static void AssertTalk(Socket client, Socket accepted)
    {
        client.Send("question"u8);
        Assert.Equal(8, accepted.Receive(new byte[16]));
        accepted.Send("answer"u8);
        Assert.Equal(6, client.Receive(new byte[16]));
    }
}
