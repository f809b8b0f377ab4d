using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Threading.Channels;

namespace Millau.Tests.Wire;

/// <summary>
/// An instance whose every byte the test decides: accepts connections on a port of its own and hands each to the test,
/// once it carries a byte. The proxy's probes, which carry none, are closed.
/// </summary>
internal sealed class ScriptedInstance : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<ScriptedConnection> _accepted = Channel.CreateUnbounded<ScriptedConnection>();
    private readonly List<ScriptedConnection> _open = [];
    private readonly Func<ScriptedConnection, Task>? _serve;
    private readonly SslServerAuthenticationOptions? _tls;
    private Task _accepting = Task.CompletedTask;
    private Exception? _failure;
    private bool _silent;
    private int _connections;

    /// <summary>The test takes each connection with <see cref="AcceptAsync"/>.</summary>
    public ScriptedInstance()
        : this(null)
    {
    }

    /// <param name="serve">Called for each connection; what it throws, besides of the connection's end, fails the test.</param>
    /// <param name="listens">False keeps the port shut until <see cref="Listen"/>.</param>
    /// <param name="tls">How TLS is spoken; null for what <see cref="InstanceKind"/> says.</param>
    public ScriptedInstance(
        Func<ScriptedConnection, Task>? serve, bool listens = true, SslServerAuthenticationOptions? tls = null)
    {
        _serve = serve;
        _tls = tls ?? InstanceKind.Tls;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
        if (listens) Listen();
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>From now on connections are accepted, and nothing is read from them.</summary>
    public bool IsSilent
    {
        get => Volatile.Read(ref _silent);
        set => Volatile.Write(ref _silent, value);
    }

    /// <summary>What went wrong in the last handshake that failed, of an instance that speaks TLS.</summary>
    public Exception? HandshakeFailure { get; private set; }

    /// <summary>Connections that carried a request.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>Requests of the usual kind: reads heads without bodies and gives each the same answer, for ever.</summary>
    public static ScriptedInstance Answering(string response, Action<string>? onRequest = null) =>
        new(async connection =>
        {
            while (await connection.ReadHeadAsync() is { Length: > 0 } head)
            {
                onRequest?.Invoke(head);
                await connection.SendAsync(response);
            }
        });

    /// <summary>Opens the port.</summary>
    public void Listen()
    {
        _listener.Listen(128);
        _accepting = AcceptAllAsync();
    }

    /// <summary>The next connection that carries a request; closed with the instance at the latest.</summary>
    public async Task<ScriptedConnection> AcceptAsync()
    {
        using var deadline = new CancellationTokenSource(ScriptedConnection.Deadline);
        return await _accepted.Reader.ReadAsync(deadline.Token);
    }

    /// <summary>From now on connections are refused; those that are open go on.</summary>
    public async Task RefuseAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
    }

    public async ValueTask DisposeAsync()
    {
        await RefuseAsync();
        lock (_open)
            foreach (var connection in _open) connection.Socket.Dispose();
        if (_failure is not null) throw new InvalidOperationException("the script of an instance failed", _failure);
    }

    private async Task AcceptAllAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await _listener.AcceptAsync(_stop.Token));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        var tls = _tls is null ? null : new SslStream(new NetworkStream(socket, ownsSocket: false));
        var connection = new ScriptedConnection(socket, tls);
        lock (_open) _open.Add(connection);
        if (IsSilent) return;
        try
        {
            if (tls is not null) await tls.AuthenticateAsServerAsync(_tls!, _stop.Token);
            if (!await connection.WaitForBytesAsync())
            {
                await connection.DisposeAsync();
                return;
            }
            Interlocked.Increment(ref _connections);
            if (_serve is null)
            {
                _accepted.Writer.TryWrite(connection);
                return;
            }
            await _serve(connection);
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException or IOException)
        {
        }
        catch (AuthenticationException e)
        {
            // The proxy does not like us, or we do not like it.
            HandshakeFailure = e;
            await connection.DisposeAsync();
        }
        catch (Exception e)
        {
            _failure = e;
        }
        if (_serve is not null) await connection.DisposeAsync();
    }
}
