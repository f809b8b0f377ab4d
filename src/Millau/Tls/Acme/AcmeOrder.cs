using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;

namespace Millau.Tls.Acme;

/// <summary>How a CA convinces itself that a name leads to us.</summary>
internal enum ChallengeKind
{
    /// <summary>It fetches a file on the plain port (RFC 8555 section 8.3).</summary>
    Http01,

    /// <summary>It looks at a certificate on the TLS port (RFC 8737).</summary>
    TlsAlpn01,
}

/// <summary>What is to be had.</summary>
/// <param name="Names">At least one; all in one certificate.</param>
/// <param name="Preferred">Taken where the CA offers both.</param>
/// <param name="Replaces">The certificate that this one is to replace (RFC 9773 section 5); null for none.</param>
internal sealed record OrderRequest(ImmutableArray<string> Names, ChallengeKind Preferred, string? Profile, string? Replaces);

/// <summary>How an order ended: with a certificate, or with a fault, which names those who failed as far as that is known.</summary>
internal sealed record OrderResult(string? Pem, AcmeFault? Fault)
{
    public static OrderResult Failed(AcmeFault fault) => new(null, fault);
}

/// <summary>
/// One order from its making to its certificate (RFC 8555 section 7.4).
/// <list type="number">
/// <item>Make the order.</item>
/// <item>Answer one challenge of each name that is not authorized yet.</item>
/// <item>Wait until the CA has looked at all of them.</item>
/// <item>Have a certificate made for a new key.</item>
/// <item>Wait for it, and take it.</item>
/// </list>
/// </summary>
internal sealed class AcmeOrder(AcmeSession session, Challenges challenges, TimeProvider time)
{
    /// <summary>For the CA to look at all names, and again for it to make the certificate.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>For the other names of an order, once one of them has failed.</summary>
    private static readonly TimeSpan PatienceAfterFailure = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan LongestPoll = TimeSpan.FromSeconds(5);

    /// <summary>A step whose answer got lost is taken again this often.</summary>
    private const int MaxRepeats = 3;

    private static readonly TimeSpan LongestRepeatDelay = TimeSpan.FromSeconds(30);

    private readonly List<string> _tokens = [];
    private readonly List<string> _hosts = [];

    public async Task<OrderResult> RunAsync(OrderRequest request, CancellationToken cancellation)
    {
        try
        {
            // 1.
            var made = await MakeAsync(request, cancellation);
            if (made.Value is not { } reading) return OrderResult.Failed(made.Fault!);
            if (reading.Response.Location is not { IsAbsoluteUri: true } url)
                return OrderResult.Failed(AcmeFault.Nonsense("the CA gives the order no address"));

            // 2.
            var order = reading.Model;
            var authorizations = new List<Uri>();
            foreach (var link in order.Authorizations ?? [])
            {
                if (session.Link(link) is not { } authorization)
                    return OrderResult.Failed(AcmeFault.Nonsense("an authorization of the order has no address"));
                authorizations.Add(authorization);
                if (await AnswerAsync(authorization, request.Preferred, cancellation) is { } fault)
                    return OrderResult.Failed(fault);
            }

            // 3.
            var waited = await PollAsync(url, status => status != "pending", cancellation);
            if (waited.Value is not { } ready) return OrderResult.Failed(waited.Fault!);
            if (ready.Status is "invalid" or "pending")
                return OrderResult.Failed(await FindFailuresAsync(authorizations, ready, cancellation));

            // 4.
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            if (await FinalizeAsync(ready, request.Names, key, cancellation) is { } refused)
                return OrderResult.Failed(refused);

            // 5.
            waited = await PollAsync(url, status => status is "valid" or "invalid", cancellation);
            if (waited.Value is not { } done) return OrderResult.Failed(waited.Fault!);
            if (done.Status != "valid") return OrderResult.Failed(FaultOf(done));
            return await DownloadAsync(done, key, cancellation);
        }
        finally
        {
            _tokens.ForEach(challenges.RemoveHttp);
            _hosts.ForEach(challenges.RemoveAlpn);
        }
    }

    private async Task<AcmeAnswer<AcmeReading<OrderModel>>> MakeAsync(OrderRequest request, CancellationToken cancellation)
    {
        var model = new NewOrderModel([.. request.Names.Select(n => new IdentifierModel("dns", n))], request.Profile, request.Replaces);
        var answer = await OrderAsync(model);
        // That the old certificate cannot be replaced, because it was already or is not known, is no reason to have none.
        if (answer.Fault is { IsOfCa: false, Kind: AcmeFaultKind.Refused, Names.IsEmpty: true } && model.Replaces is not null)
            answer = await OrderAsync(model with { Replaces = null });
        return answer;

        async Task<AcmeAnswer<AcmeReading<OrderModel>>> OrderAsync(NewOrderModel order)
        {
            var posted = await PostAsync(session.Directory.NewOrder,
                JsonSerializer.SerializeToUtf8Bytes(order, AcmeJson.Default.NewOrderModel), cancellation);
            return posted.Value is { } response ? AcmeClient.Read(response, AcmeJson.Default.OrderModel) : posted.Fault!;
        }
    }

    private async Task<AcmeFault?> AnswerAsync(Uri url, ChallengeKind preferred, CancellationToken cancellation)
    {
        var read = await ReadAsync(url, AcmeJson.Default.AuthorizationModel, cancellation);
        if (read.Value is not { } reading) return read.Fault;
        var authorization = reading.Model;
        if (authorization.Status != "pending") return null;
        if (authorization.Identifier?.Value?.ToLowerInvariant() is not { } name)
            return AcmeFault.Nonsense("an authorization names nothing");
        var other = preferred == ChallengeKind.Http01 ? ChallengeKind.TlsAlpn01 : ChallengeKind.Http01;
        var challenge = Find(authorization, preferred) ?? Find(authorization, other);
        if (challenge is not { Token: { } token } || session.Link(challenge.Url) is not { } answerUrl || !Challenges.IsToken(token))
        {
            var problem = new ProblemModel(null,
                $"the CA offers neither http-01 nor tls-alpn-01 for it, but: {string.Join(", ", authorization.Challenges?.Select(c => c.Type) ?? [])}",
                null, null, null);
            return AcmeFault.Refused("no challenge to answer") with { Names = [AcmeFault.OfName(name, problem)] };
        }
        if (challenge.Type == NameOf(ChallengeKind.Http01))
        {
            _tokens.Add(token);
            challenges.AddHttp(token, session.Key.Authorize(token));
        }
        else
        {
            _hosts.Add(name);
            challenges.AddAlpn(name, session.Key.Authorize(token));
        }
        return (await PostAsync(answerUrl, "{}"u8.ToArray(), cancellation)).Fault;
    }

    /// <summary>What the log calls it.</summary>
    public static string NameOf(ChallengeKind kind) => kind == ChallengeKind.Http01 ? "http-01" : "tls-alpn-01";

    private static ChallengeModel? Find(AuthorizationModel authorization, ChallengeKind kind) =>
        authorization.Challenges?.FirstOrDefault(c => c.Type == NameOf(kind));

    /// <summary>
    /// Why an order failed, name by name. The CA may have stopped at the first: the others are given a moment, so that one
    /// more order does, whatever the number of those that fail.
    /// </summary>
    private async Task<AcmeFault> FindFailuresAsync(List<Uri> authorizations, OrderModel order, CancellationToken cancellation)
    {
        var patience = order.Status == "invalid" ? PatienceAfterFailure : TimeSpan.Zero;
        var failed = ImmutableArray.CreateBuilder<AcmeNameFault>();
        var started = time.GetTimestamp();
        var delay = TimeSpan.FromMilliseconds(250);
        var pending = authorizations;
        while (true)
        {
            var still = new List<Uri>();
            foreach (var url in pending)
            {
                var read = await ReadAsync(url, AcmeJson.Default.AuthorizationModel, cancellation);
                if (read.Value?.Model is not { } authorization || authorization.Identifier?.Value?.ToLowerInvariant() is not { } name)
                    continue;
                if (authorization.Status == "invalid")
                    failed.Add(AcmeFault.OfName(name, authorization.Challenges?.FirstOrDefault(c => c.Error is not null)?.Error));
                else if (authorization.Status == "pending" && order.Status == "pending")
                    failed.Add(new AcmeNameFault(name, "", $"the CA had not looked at it after {Patience.TotalSeconds:0} s"));
                else if (authorization.Status == "pending")
                    still.Add(url);
            }
            if (still.Count == 0 || time.GetElapsedTime(started) >= patience) break;
            pending = still;
            await Task.Delay(delay, time, cancellation);
            delay = Min(delay * 2, LongestPoll);
        }
        return failed.Count == 0 ? FaultOf(order) : FaultOf(order) with { Names = failed.DrainToImmutable() };
    }

    private static AcmeFault FaultOf(OrderModel order) => AcmeFault.Of(
        200, order.Error ?? new ProblemModel(null, $"the order stayed or became {order.Status}", null, null, null), null);

    private async Task<AcmeFault?> FinalizeAsync(OrderModel order, ImmutableArray<string> names, ECDsa key, CancellationToken cancellation)
    {
        if (order.Status is "processing" or "valid") return null;
        if (session.Link(order.Finalize) is not { } url) return AcmeFault.Nonsense("the order cannot be finalized: it has no address for that");
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var name in names) alternatives.AddDnsName(name);
        var request = new CertificateRequest(new X500DistinguishedName(""), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(alternatives.Build());
        var csr = System.Buffers.Text.Base64Url.EncodeToString(request.CreateSigningRequest());
        var answer = await PostAsync(url,
            JsonSerializer.SerializeToUtf8Bytes(new FinalizeModel(csr), AcmeJson.Default.FinalizeModel), cancellation);
        // A repeated request whose first answer got lost finds the order on its way already.
        return answer.Fault is { Type: "orderNotReady" } ? null : answer.Fault;
    }

    private async Task<OrderResult> DownloadAsync(OrderModel order, ECDsa key, CancellationToken cancellation)
    {
        if (session.Link(order.Certificate) is not { } url)
            return OrderResult.Failed(AcmeFault.Nonsense("the order is valid and has no certificate"));
        var answer = await PostAsync(url, [], cancellation);
        if (answer.Value is not { } response) return OrderResult.Failed(answer.Fault!);
        return new OrderResult(key.ExportPkcs8PrivateKeyPem() + "\n" + Encoding.ASCII.GetString(response.Body).Trim() + "\n", null);
    }

    /// <summary>Reads the order again and again until its status is one of those, or patience is at its end.</summary>
    private async Task<AcmeAnswer<OrderModel>> PollAsync(Uri url, Func<string, bool> until, CancellationToken cancellation)
    {
        var started = time.GetTimestamp();
        var delay = TimeSpan.FromMilliseconds(250);
        while (true)
        {
            var read = await ReadAsync(url, AcmeJson.Default.OrderModel, cancellation);
            if (read.Value is not { } reading) return read.Fault!;
            if (reading.Model.Status is not { } status) return AcmeFault.Nonsense("the order has no status");
            var wait = reading.Response.RetryAfter is { } asked && asked > delay ? asked : delay;
            if (until(status) || time.GetElapsedTime(started) + wait > Patience) return reading.Model;
            await Task.Delay(wait, time, cancellation);
            delay = Min(delay * 2, LongestPoll);
        }
    }

    private async Task<AcmeAnswer<AcmeReading<T>>> ReadAsync<T>(
        Uri url, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, CancellationToken cancellation)
        where T : class
    {
        var answer = await PostAsync(url, [], cancellation);
        return answer.Value is { } response ? AcmeClient.Read(response, type) : answer.Fault!;
    }

    /// <summary>One step; taken again for what passes, such as a broken connection.</summary>
    private async Task<AcmeAnswer<AcmeResponse>> PostAsync(Uri url, byte[] payload, CancellationToken cancellation)
    {
        var delay = TimeSpan.FromSeconds(1);
        for (var repeats = 0; ; repeats++)
        {
            var answer = await session.PostAsync(url, payload, cancellation);
            if (answer.Fault is not { IsOfCa: true } fault || repeats == MaxRepeats) return answer;
            var wait = fault.RetryAfter is { } asked && asked > delay ? asked : delay;
            if (wait > LongestRepeatDelay) return answer;
            await Task.Delay(wait, time, cancellation);
            delay *= 2;
        }
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
