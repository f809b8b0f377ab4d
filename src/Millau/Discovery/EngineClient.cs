using System.Buffers;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Millau.Memory;

namespace Millau.Discovery;

/// <summary>
/// The Engine API as far as Millau needs it: GET only, every call with a deadline, every failure a value. Calls may
/// overlap; <see cref="NegotiateAsync"/> comes first and again after each reconnect.
/// </summary>
/// <remarks>
/// Threads: socket continuations of this process run on the loops that carry the traffic. Bodies are therefore only
/// copied there; parsing is moved to the thread pool.
/// </remarks>
internal sealed class EngineClient : IDisposable
{
    /// <summary>The newest API version whose answers these models were checked against.</summary>
    private static readonly Version NewestKnown = new(1, 51);

    private const int LargestBody = 256 * 1024 * 1024;

    /// <summary>Exec events of health checks would flood the stream, so the Engine filters.</summary>
    private const string EventFilter =
        """{"type":["service","node","container","config","network"],"event":["create","update","remove","start","die","kill","destroy","health_status","connect","disconnect"]}""";

    private readonly KeptElements<ServiceModel> _services = new(EngineJson.Default.ServiceModel);
    private readonly KeptElements<TaskModel> _tasks = new(EngineJson.Default.TaskModel);
    private readonly HttpClient _http;
    private readonly TimeProvider _time;
    private readonly TimeSpan _deadline;
    private volatile string _versionPrefix = "";

    public EngineClient(EngineEndpoint endpoint, DiscoveryTiming timing, TimeProvider time)
    {
        _time = time;
        _deadline = timing.CallDeadline;
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = timing.ConnectDeadline,
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = endpoint.Address is UnixDomainSocketEndPoint
                    ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
                    : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                try
                {
                    await socket.ConnectAsync(endpoint.Address, cancellation);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
        };
        if (endpoint.Tls is { } tls)
            handler.SslOptions = tls;
        _http = new HttpClient(handler) { BaseAddress = endpoint.BaseUri, Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>The version in use, such as <c>1.41</c>; empty when the Engine did not say any.</summary>
    public string ApiVersion => _versionPrefix.Length > 0 ? _versionPrefix[2..] : "";

    /// <summary>What the Engine calls itself, such as <c>Docker/20.10.24 (linux)</c>.</summary>
    public string Server { get; private set; } = "";

    /// <summary>Asks for the Engine's API version and uses the smaller of its and ours from now on.</summary>
    public async Task<EngineFault?> NegotiateAsync(CancellationToken cancellation)
    {
        var answer = await SendAsync("/_ping", "/_ping", Ping, cancellation);
        if (answer.Value is not { } pong)
            return answer.Fault;
        Server = pong.Server;
        if (!Version.TryParse(pong.ApiVersion, out var theirs))
            _versionPrefix = "";
        else
            _versionPrefix = $"/v{(theirs < NewestKnown ? theirs : NewestKnown)}";
        // An Engine so new that it refuses ours: its own version is the better guess than none at all.
        if (theirs is not null && theirs > NewestKnown
            && (await SendAsync("/version", _versionPrefix + "/version", Body, cancellation)).Fault is
                { Kind: EngineFaultKind.WrongVersion })
            _versionPrefix = $"/v{theirs}";
        return null;

        static Task<EngineAnswer<Pong>> Ping(HttpResponseMessage response, CancellationToken _) =>
            Task.FromResult<EngineAnswer<Pong>>(new Pong(
                Header(response, "Api-Version"), Header(response, "Server")));

        static string Header(HttpResponseMessage response, string name) =>
            response.Headers.TryGetValues(name, out var values) ? LogText.Clean(string.Join(' ', values)) : "";

        static Task<EngineAnswer<Pong>> Body(HttpResponseMessage response, CancellationToken _) =>
            Task.FromResult<EngineAnswer<Pong>>(new Pong("", ""));
    }

    /// <summary>Whether the Engine answers at all.</summary>
    public async Task<EngineFault?> PingAsync(CancellationToken cancellation) =>
        (await SendAsync("/_ping", "/_ping", static (_, _) => Task.FromResult<EngineAnswer<Pong>>(new Pong("", "")),
            cancellation)).Fault;

    /// <summary>One call at a time for all of them.</summary>
    /// <param name="ids">Only these, and others whose id begins with one of them; what does not exist is left out. Empty for all.</param>
    /// <param name="cancellation">Ends the call.</param>
    public Task<EngineAnswer<List<ServiceModel?>>> GetServicesAsync(
        IReadOnlyCollection<string> ids, CancellationToken cancellation) =>
        ids.Count == 0
            ? GetAsync("/services", "", _services.Parse, cancellation)
            : GetAsync("/services", FilterQuery("id", ids), EngineJson.Default.ListServiceModel, cancellation);

    /// <summary>One call at a time for all of them.</summary>
    /// <param name="serviceIds">Only tasks of these services, all of which must exist (else 404); empty for all.</param>
    /// <param name="cancellation">Ends the call.</param>
    public Task<EngineAnswer<List<TaskModel?>>> GetTasksAsync(
        IReadOnlyCollection<string> serviceIds, CancellationToken cancellation) =>
        serviceIds.Count == 0
            ? GetAsync("/tasks", "", _tasks.Parse, cancellation)
            : GetAsync("/tasks", FilterQuery("service", serviceIds), EngineJson.Default.ListTaskModel, cancellation);

    /// <summary>All containers, stopped ones too.</summary>
    public Task<EngineAnswer<List<ContainerModel?>>> GetContainersAsync(CancellationToken cancellation) =>
        GetAsync("/containers/json", "?all=1", EngineJson.Default.ListContainerModel, cancellation);

    public Task<EngineAnswer<ContainerDetailModel>> GetContainerAsync(string id, CancellationToken cancellation) =>
        GetAsync($"/containers/{Uri.EscapeDataString(id)}/json", "", EngineJson.Default.ContainerDetailModel,
            cancellation);

    public Task<EngineAnswer<List<NetworkModel?>>> GetNetworksAsync(CancellationToken cancellation) =>
        GetAsync("/networks", "", EngineJson.Default.ListNetworkModel, cancellation);

    /// <summary>
    /// Opens the stream of events, which starts now: what happened before must be read. The deadline holds for the head.
    /// </summary>
    public async Task<EngineAnswer<EngineEventStream>> OpenEventsAsync(CancellationToken cancellation)
    {
        var query = "?filters=" + Uri.EscapeDataString(EventFilter);
        return await SendAsync<EngineEventStream>("/events", _versionPrefix + "/events" + query,
            static async (response, inner) =>
                new EngineEventStream(response, await response.Content.ReadAsStreamAsync(inner)), cancellation);
    }

    public void Dispose() => _http.Dispose();

    private static string FilterQuery(string name, IReadOnlyCollection<string> values)
    {
        var quoted = string.Join(',', values.Select(v => $"\"{JsonEncodedText.Encode(v)}\""));
        return "?filters=" + Uri.EscapeDataString($$"""{"{{name}}":[{{quoted}}]}""");
    }

    private Task<EngineAnswer<T>> GetAsync<T>(
        string path, string query, JsonTypeInfo<T> type, CancellationToken cancellation)
        where T : class =>
        GetAsync(path, query, json => JsonSerializer.Deserialize(json, type), cancellation);

    private Task<EngineAnswer<T>> GetAsync<T>(
        string path, string query, Func<ReadOnlySpan<byte>, T?> parse, CancellationToken cancellation)
        where T : class =>
        SendAsync(path, _versionPrefix + path + query, async (response, inner) =>
        {
            using var body = await ReadBodyAsync(response, inner);
            // Off the traffic's loop before the work begins.
            await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            var begun = Stopwatch.GetTimestamp();
            EngineAnswer<T> result = parse(body.Span) is { } value
                ? value
                : new EngineFault(EngineFaultKind.BadBody, path, "the answer is null");
            return result with { Cost = Stopwatch.GetElapsedTime(begun) };
        }, cancellation);

    /// <summary>Sends one request under the deadline and maps everything that may go wrong to a fault.</summary>
    private async Task<EngineAnswer<T>> SendAsync<T>(
        string path,
        string target,
        Func<HttpResponseMessage, CancellationToken, Task<EngineAnswer<T>>> read,
        CancellationToken cancellation)
        where T : class
    {
        using var deadline = new CancellationTokenSource(_deadline, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        HttpResponseMessage? response = null;
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, target);
            response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, both.Token);
            if (response.StatusCode != HttpStatusCode.OK)
                return await FaultOfAsync(path, response, both.Token);
            var answer = await read(response, both.Token);
            if (answer.Value is EngineEventStream)
                response = null; // now owned by the stream
            return answer;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return deadline.IsCancellationRequested
                ? new EngineFault(EngineFaultKind.TimedOut, path, $"no answer within {_deadline.TotalSeconds:0.#} s")
                : new EngineFault(EngineFaultKind.Unreachable, path, "connecting took too long");
        }
        catch (JsonException e)
        {
            return new EngineFault(EngineFaultKind.BadBody, path, LogText.Clean($"not the JSON expected ({e.Message})"));
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            return new EngineFault(EngineFaultKind.Unreachable, path,
                LogText.Clean(e.GetBaseException().Message));
        }
        finally
        {
            response?.Dispose();
        }
    }

    private static async Task<EngineFault> FaultOfAsync(
        string path, HttpResponseMessage response, CancellationToken cancellation)
    {
        using var body = await ReadBodyAsync(response, cancellation);
        string? message = null;
        try
        {
            message = JsonSerializer.Deserialize(body.Span, EngineJson.Default.ErrorModel)?.Message;
        }
        catch (JsonException)
        {
            // A proxy's page, not the Engine's answer.
        }

        var status = (int)response.StatusCode;
        var kind = status switch
        {
            401 or 403 => EngineFaultKind.Forbidden,
            404 => EngineFaultKind.NotFound,
            400 when Has("API version") || Has("client version") => EngineFaultKind.WrongVersion,
            503 when Has("Worker nodes") || Has("demoted") => EngineFaultKind.NoManager,
            503 when Has("swarm init") || Has("not part of a swarm") || Has("swarm manager") => EngineFaultKind.NoSwarm,
            _ => EngineFaultKind.Failed,
        };
        return new EngineFault(kind, path, $"status {status}{(message is null ? "" : ": " + LogText.Clean(message))}");

        bool Has(string words) => message?.Contains(words, StringComparison.OrdinalIgnoreCase) == true;
    }

    private static async Task<PooledBody> ReadBodyAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var body = new PooledBody((int)Math.Clamp(response.Content.Headers.ContentLength ?? 0, 16 * 1024, 1024 * 1024));
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(cancellation);
            while (true)
            {
                var read = await stream.ReadAsync(body.Free, cancellation);
                if (read == 0)
                    return body;
                body.Add(read);
                if (body.Span.Length > LargestBody)
                    throw new IOException($"the answer is longer than {LargestBody} bytes");
            }
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    private sealed record Pong(string ApiVersion, string Server);

    /// <summary>Lists of half a megabyte every two seconds would each be a large object; pooled they are not.</summary>
    private sealed class PooledBody(int size) : IDisposable
    {
        private byte[] _bytes = BufferPool.Shared.Rent(size);
        private int _length;

        public ReadOnlySpan<byte> Span => _bytes.AsSpan(0, _length);

        /// <summary>Never empty.</summary>
        public Memory<byte> Free
        {
            get
            {
                if (_length == _bytes.Length)
                {
                    var larger = BufferPool.Shared.Rent(_bytes.Length * 2);
                    _bytes.CopyTo(larger, 0);
                    BufferPool.Shared.Return(_bytes);
                    _bytes = larger;
                }

                return _bytes.AsMemory(_length);
            }
        }

        public void Add(int count) => _length += count;

        public void Dispose()
        {
            var bytes = _bytes;
            _bytes = [];
            if (bytes.Length > 0)
                BufferPool.Shared.Return(bytes);
        }
    }
}
