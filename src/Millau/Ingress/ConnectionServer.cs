using System.Collections.Immutable;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>
/// Takes in the connections of one or more ports, counts and bounds them, and ends them in order when it stops. What is done with a
/// connection is a <see cref="ConnectionDelegate"/> for each port. Owns the ports and the connections.
/// </summary>
internal sealed class ConnectionServer : IAsyncDisposable
{
    private readonly ITransport _transport;
    private readonly int _mostConnections;
    private readonly ILogger _logger;
    private readonly Lock _lock = new();
    private readonly HashSet<OpenConnection> _open = [];
    private readonly List<ListeningPort> _ports = [];

    // Of the heartbeat alone.
    private readonly List<OpenConnection> _ticked = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly LingeringClose _closing;
    private readonly TaskCompletionSource _empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _stopped;

    /// <param name="transport">Accepts on the ports.</param>
    /// <param name="mostConnections">More are closed at once.</param>
    /// <param name="time">The clock of all timeouts.</param>
    /// <param name="logger">For what goes wrong on a connection.</param>
    public ConnectionServer(ITransport transport, int mostConnections, TimeProvider time, ILogger logger)
    {
        _transport = transport;
        _mostConnections = mostConnections;
        _logger = logger;
        _closing = new LingeringClose(time);
        Clock = new ServerClock(time, Tick);
    }

    /// <summary>The heartbeat of all its connections.</summary>
    public ServerClock Clock { get; }

    /// <summary>Set when what is still open is to end soon.</summary>
    public CancellationToken Stopping => _stopping.Token;

    /// <summary>The addresses bound, with the port that the system chose where 0 was asked for.</summary>
    public ImmutableArray<IPEndPoint> EndPoints => [.. _ports.Select(p => p.EndPoint)];

    /// <summary>Connections that are open.</summary>
    public int OpenConnections
    {
        get
        {
            lock (_lock) return _open.Count;
        }
    }

    /// <summary>Starts listening; an address that cannot be bound is an <see cref="IOException"/>.</summary>
    /// <param name="address">Null for all: IPv6 and IPv4, or IPv4 alone where there is no IPv6.</param>
    /// <param name="port">0 for one that the system chooses.</param>
    /// <param name="serve">Called for each connection; the connection is closed when it is over.</param>
    public async Task ListenAsync(IPAddress? address, int port, ConnectionDelegate serve) =>
        _ports.Add(await ListeningPort.OpenAsync(_transport, address, port, context => TakeIn(context, serve)).ConfigureAwait(false));

    /// <summary>
    /// Stops accepting: new clients are refused, nobody is reset. Open connections go on. Whoever was accepted is among
    /// <see cref="OpenConnections"/> when it returns.
    /// </summary>
    public Task StopAcceptingAsync()
    {
        _closing.BeginEnd();
        return Task.WhenAll(_ports.Select(p => p.StopAcceptingAsync()));
    }

    /// <summary>
    /// Stops accepting, closes what is idle, cuts what has not come to its first request yet, as in a handshake, waits for the requests
    /// in flight up to <paramref name="grace"/> and cuts those that remain.
    /// </summary>
    public async Task StopAsync(TimeSpan grace)
    {
        await StopAcceptingAsync().ConfigureAwait(false);
        // First, so that a connection whose handshake ends in this moment learns of it one way or the other.
        await _stopping.CancelAsync().ConfigureAwait(false);
        _closing.Hasten();
        foreach (var connection in StopAndList()) connection.RequestClose();
        try
        {
            await _empty.Task.WaitAsync(grace).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            foreach (var connection in StopAndList()) connection.Cut();
        }
    }

    /// <summary>Cuts what is still open.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync(TimeSpan.Zero).ConfigureAwait(false);
        // What was cut ends by itself, soon.
        await Task.WhenAny(_empty.Task, Task.Delay(TimeSpan.FromSeconds(5))).ConfigureAwait(false);
        Clock.Dispose();
        foreach (var port in _ports) await port.DisposeAsync().ConfigureAwait(false);
    }

    private OpenConnection? TakeIn(ConnectionContext context, ConnectionDelegate serve)
    {
        var connection = new OpenConnection(this, context, serve);
        lock (_lock)
        {
            if (_open.Count < _mostConnections && _open.Add(connection)) return connection;
        }
        Log.TooManyConnections(_logger, _mostConnections);
        context.Abort(new ConnectionAbortedException("Too many connections."));
        _ = CloseAsync(context);
        return null;
    }

    private async Task ServeAsync(OpenConnection connection, ConnectionDelegate serve)
    {
        try
        {
            connection.Context.Features.Set(connection);
            await serve(connection.Context).ConfigureAwait(false);
            await _closing.WaitAsync(connection.Context, connection.Http is { ClientIsDone: true }).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The client went, or was cut off.
        }
        catch (Exception e)
        {
            Log.ConnectionFailed(_logger, e);
        }
        finally
        {
            await CloseAsync(connection.Context).ConfigureAwait(false);
            lock (_lock)
            {
                _open.Remove(connection);
                if (_stopped && _open.Count == 0) _empty.TrySetResult();
            }
        }
    }

    private async ValueTask CloseAsync(ConnectionContext context)
    {
        try
        {
            await context.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Log.ConnectionFailed(_logger, e);
        }
    }

    private OpenConnection[] StopAndList()
    {
        lock (_lock)
        {
            _stopped = true;
            if (_open.Count == 0) _empty.TrySetResult();
            return [.. _open];
        }
    }

    private void Tick(long now)
    {
        lock (_lock) _ticked.AddRange(_open);
        foreach (var connection in _ticked)
        {
            try
            {
                connection.Http?.Tick(now);
            }
            catch (Exception e)
            {
                // One that fails must not stop the timeouts of all others.
                Log.ConnectionFailed(_logger, e);
            }
        }
        _ticked.Clear();
    }

    /// <summary>A connection on its way from being accepted to its end; a feature of it.</summary>
    internal sealed class OpenConnection(ConnectionServer server, ConnectionContext context, ConnectionDelegate serve) : IThreadPoolWorkItem
    {
        private volatile HttpConnection? _http;

        public ConnectionContext Context => context;

        /// <summary>What serves it; null before its handshake is over.</summary>
        public HttpConnection? Http => _http;

        /// <summary>From now on the heartbeat and a stop go there.</summary>
        public void Attach(HttpConnection http)
        {
            _http = http;
            Interlocked.MemoryBarrier();
            // Race window: the stop that came before was told to nobody.
            if (server.Stopping.IsCancellationRequested) http.RequestClose();
        }

        /// <summary>The server stops: what is under way is answered first; in a handshake nothing is.</summary>
        public void RequestClose()
        {
            if (_http is { } http) http.RequestClose();
            else Cut();
        }

        public void Cut() => context.Abort(new ConnectionAbortedException("The server stops."));

        void IThreadPoolWorkItem.Execute() => _ = server.ServeAsync(this, serve);
    }
}
