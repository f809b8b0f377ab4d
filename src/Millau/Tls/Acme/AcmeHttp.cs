using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Millau.Tls.Acme;

/// <summary>What a CA answered, whatever the status.</summary>
/// <param name="Body">Read whole.</param>
/// <param name="RetryAfter">Counted from now; null if there is none.</param>
/// <param name="Clock">The CA's clock less ours; null if the answer had no date.</param>
internal sealed record AcmeResponse(
    int Status, byte[] Body, string MediaType, Uri? Location, string? Nonce, TimeSpan? RetryAfter, TimeSpan? Clock)
{
    public bool IsGood => Status is >= 200 and < 300;
}

/// <summary>
/// Exchanges with a CA: each has a deadline and a bound on its size, and every failure is a value. Names the product, as
/// RFC 8555 section 6.1 demands. Follows no redirects. Thread-safe.
/// </summary>
/// <remarks>
/// Threads: socket continuations of this process run on the loops that carry the traffic. Parsing, signing and everything
/// after it is moved to the thread pool.
/// </remarks>
internal sealed class AcmeHttp : IDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private const int LargestBody = 1024 * 1024;

    private static readonly TimeSpan LongestRetryAfter = TimeSpan.FromDays(30);

    private readonly HttpClient _http;
    private readonly TimeProvider _time;

    /// <param name="roots">Trusted beside those of the system; null for none.</param>
    /// <param name="time">For deadlines, and to compare the CA's clock with.</param>
    public AcmeHttp(X509Certificate2Collection? roots, TimeProvider time)
    {
        _time = time;
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = TimeSpan.FromSeconds(10),
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
            MaxResponseHeadersLength = 64,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
        };
        // Validation runs on a socket's loop: it must not go and fetch what a server forgot to send.
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            DisableCertificateDownloads = true,
            RevocationMode = X509RevocationMode.NoCheck,
        };
        if (roots is not null)
            handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                errors == SslPolicyErrors.None
                || (errors == SslPolicyErrors.RemoteCertificateChainErrors && LeadsTo(roots, certificate, chain));
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue(Product.Name, Product.Version));
        _http.DefaultRequestHeaders.AcceptLanguage.Add(new StringWithQualityHeaderValue("en"));
    }

    /// <summary>Sends one request and reads the whole answer.</summary>
    /// <param name="jws">For a POST; null for other methods.</param>
    public async Task<AcmeAnswer<AcmeResponse>> SendAsync(HttpMethod method, Uri url, byte[]? jws, CancellationToken cancellation)
    {
        using var deadline = new CancellationTokenSource(Deadline, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        AcmeAnswer<AcmeResponse> answer;
        try
        {
            using var request = new HttpRequestMessage(method, url);
            if (jws is not null)
            {
                request.Content = new ByteArrayContent(jws);
                request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/jose+json");
            }
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, both.Token);
            answer = await ReadAsync(response, both.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            answer = AcmeFault.Unreachable(deadline.IsCancellationRequested
                ? $"{url.Host} gave no answer within {Deadline.TotalSeconds:0} s"
                : $"connecting to {url.Host} took too long");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            answer = AcmeFault.Unreachable($"{url.Host}: {Reason(e)}");
        }
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        return answer;
    }

    public void Dispose() => _http.Dispose();

    private async Task<AcmeAnswer<AcmeResponse>> ReadAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var length = response.Content.Headers.ContentLength ?? 0;
        if (length > LargestBody) return TooLong();
        using var body = new MemoryStream();
        await using var stream = await response.Content.ReadAsStreamAsync(cancellation);
        var buffer = new byte[16 * 1024];
        while (await stream.ReadAsync(buffer, cancellation) is > 0 and var read)
        {
            body.Write(buffer, 0, read);
            if (body.Length > LargestBody) return TooLong();
        }
        var now = _time.GetUtcNow();
        var theirs = response.Headers.Date + (response.Headers.Age ?? TimeSpan.Zero);
        return new AcmeResponse(
            (int)response.StatusCode,
            body.ToArray(),
            response.Content.Headers.ContentType?.MediaType ?? "",
            response.Headers.Location,
            response.Headers.TryGetValues("Replay-Nonce", out var nonces) ? nonces.FirstOrDefault() : null,
            ReadRetryAfter(response.Headers.RetryAfter, theirs ?? now),
            theirs - now);

        static AcmeFault TooLong() => AcmeFault.Nonsense($"the answer is longer than {LargestBody} bytes");
    }

    /// <summary>Seconds, or a date: that one by the CA's clock (RFC 9110 section 10.2.3).</summary>
    private static TimeSpan? ReadRetryAfter(RetryConditionHeaderValue? header, DateTimeOffset now)
    {
        var wait = header?.Delta ?? header?.Date - now;
        return wait is { } value
            ? value < TimeSpan.Zero ? TimeSpan.Zero : value > LongestRetryAfter ? LongestRetryAfter : value
            : null;
    }

    private static bool LeadsTo(X509Certificate2Collection roots, X509Certificate? certificate, X509Chain? sent)
    {
        if (certificate is not X509Certificate2 leaf) return false;
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(roots);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(new System.Security.Cryptography.Oid("1.3.6.1.5.5.7.3.1"));
        foreach (var element in sent?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
            chain.ChainPolicy.ExtraStore.Add(element.Certificate);
        return chain.Build(leaf);
    }

    private static string Reason(Exception e)
    {
        var inner = e.GetBaseException();
        return inner is System.Security.Authentication.AuthenticationException
            ? $"its certificate is not trusted, or not valid by this machine's clock ({DateTimeOffset.UtcNow.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)} UTC): {inner.Message}"
            : inner.Message;
    }
}
