using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Millau.Tls.Acme;

/// <summary>Where a CA takes what (RFC 8555 section 7.1.1).</summary>
/// <param name="RenewalInfo">Null if the CA suggests no time of renewal (RFC 9773).</param>
/// <param name="Profiles">The profiles that it offers; none if it has none.</param>
internal sealed record AcmeDirectory(
    Uri NewNonce, Uri NewAccount, Uri NewOrder, Uri? RenewalInfo, string? Terms, bool WantsExternalAccount, ImmutableArray<string> Profiles);

/// <summary>
/// Signed requests to one CA (RFC 8555 section 6): nonces are kept, and one that the CA refuses costs another try.
/// Thread-safe.
/// </summary>
internal sealed class AcmeClient(AcmeHttp http, Uri directory)
{
    /// <summary>
    /// How often a request is sent with another nonce. A sound CA refuses one now and then; a test server may refuse nine
    /// of ten, and an order takes many requests.
    /// </summary>
    private const int MaxNonces = 200;

    private const int MaxKeptNonces = 16;

    private readonly Lock _lock = new();
    private readonly Stack<string> _nonces = new();
    private long _clock;

    /// <summary>The CA's clock less ours, as of its latest answer; zero before the first.</summary>
    public TimeSpan Clock => TimeSpan.FromTicks(Volatile.Read(ref _clock));

    /// <summary>Where the directory is.</summary>
    public Uri Url => directory;

    public async Task<AcmeAnswer<AcmeDirectory>> GetDirectoryAsync(CancellationToken cancellation)
    {
        var answer = await GetAsync(directory, AcmeJson.Default.DirectoryModel, cancellation);
        if (answer.Value is not { } read) return answer.Fault!;
        var (model, _) = read;
        if (Link(model.NewNonce) is not { } newNonce || Link(model.NewAccount) is not { } newAccount
            || Link(model.NewOrder) is not { } newOrder)
        {
            return AcmeFault.Nonsense($"{directory} is no ACME directory: newNonce, newAccount or newOrder is missing");
        }
        return new AcmeDirectory(newNonce, newAccount, newOrder, Link(model.RenewalInfo),
            model.Meta?.TermsOfService, model.Meta?.ExternalAccountRequired == true, [.. model.Meta?.Profiles?.Keys ?? Enumerable.Empty<string>()]);
    }

    /// <summary>Reads what needs no signature.</summary>
    public async Task<AcmeAnswer<AcmeReading<T>>> GetAsync<T>(Uri url, JsonTypeInfo<T> type, CancellationToken cancellation)
        where T : class
    {
        var answer = await http.SendAsync(HttpMethod.Get, url, null, cancellation);
        if (answer.Value is not { } response) return answer.Fault!;
        Learn(response);
        return Read(response, type);
    }

    /// <summary>Sends a signed request, and again with another nonce while the CA refuses the nonce alone.</summary>
    /// <param name="newNonce">Where nonces are had when none is left.</param>
    /// <param name="accountUrl">Null before the account exists.</param>
    /// <param name="payload">Empty for POST-as-GET.</param>
    /// <returns>A good response, or what went wrong.</returns>
    public async Task<AcmeAnswer<AcmeResponse>> PostAsync(
        Uri url, Uri newNonce, AccountKey key, string? accountUrl, byte[] payload, CancellationToken cancellation)
    {
        for (var tries = 1; ; tries++)
        {
            var nonce = await TakeNonceAsync(newNonce, cancellation);
            if (nonce.Value is null) return nonce.Fault!;
            var answer = await http.SendAsync(
                HttpMethod.Post, url, key.Sign(url, nonce.Value, accountUrl, payload), cancellation);
            if (answer.Value is not { } response) return answer.Fault!;
            Learn(response);
            if (response.IsGood) return response;
            var fault = FaultOf(response);
            // RFC 8555 section 6.5: the refusal brings a nonce that is good.
            if (fault.Type != "badNonce" || tries == MaxNonces) return fault;
            Forget(except: response.Nonce);
        }
    }

    /// <summary>The body of a good response.</summary>
    public static AcmeAnswer<AcmeReading<T>> Read<T>(AcmeResponse response, JsonTypeInfo<T> type)
        where T : class
    {
        if (!response.IsGood) return FaultOf(response);
        try
        {
            return JsonSerializer.Deserialize(response.Body, type) is { } value
                ? new AcmeReading<T>(value, response)
                : AcmeFault.Nonsense("the answer is null");
        }
        catch (JsonException e)
        {
            return AcmeFault.Nonsense($"the answer is not the JSON expected ({e.Message})");
        }
    }

    /// <summary>An address that the CA gave. Null if it is none, or would give up the protection that the directory has.</summary>
    public Uri? Link(string? text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && (url.Scheme == "https" || url.Scheme == directory.Scheme)
        && url.Scheme is "https" or "http"
            ? url
            : null;

    private async Task<AcmeAnswer<string>> TakeNonceAsync(Uri newNonce, CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (_nonces.TryPop(out var kept)) return kept;
        }
        var answer = await http.SendAsync(HttpMethod.Head, newNonce, null, cancellation);
        if (answer.Value is not { } response) return answer.Fault!;
        if (!response.IsGood) return FaultOf(response);
        return response.Nonce is { Length: > 0 } nonce ? nonce : AcmeFault.Nonsense("the CA gives no nonce");
    }

    private void Forget(string? except)
    {
        lock (_lock)
        {
            _nonces.Clear();
            if (except is { Length: > 0 }) _nonces.Push(except);
        }
    }

    private void Learn(AcmeResponse response)
    {
        if (response.Clock is { } clock) Volatile.Write(ref _clock, clock.Ticks);
        if (response.Nonce is not { Length: > 0 } nonce) return;
        lock (_lock)
        {
            if (_nonces.Count < MaxKeptNonces) _nonces.Push(nonce);
        }
    }

    private static AcmeFault FaultOf(AcmeResponse response)
    {
        ProblemModel? problem = null;
        try
        {
            if (response.Body.Length > 0 && response.MediaType.Contains("json", StringComparison.OrdinalIgnoreCase))
                problem = JsonSerializer.Deserialize(response.Body, AcmeJson.Default.ProblemModel);
        }
        catch (JsonException)
        {
            // The page of something before the CA: the status says enough.
        }
        return AcmeFault.Of(response.Status, problem, response.RetryAfter);
    }
}

/// <summary>What a good response said, and the response.</summary>
internal sealed record AcmeReading<T>(T Model, AcmeResponse Response)
    where T : class;
