using System.Net;

namespace Millau.Bench;

/// <summary>Sees before a measurement that the proxy does the whole job: a figure for a wrong answer is worth nothing.</summary>
internal static class Check
{
    /// <exception cref="InvalidOperationException">Another status or body than the origin's.</exception>
    public static void AnswersRightly(RunningProxy proxy, Workload workload)
    {
        var handler = new SocketsHttpHandler { UseProxy = false };
        // The bench's own certificate, and no other.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Subject == "CN=" + BenchCertificate.Host;
        using var client = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(10) };
        using var request = new HttpRequestMessage(workload.UploadBytes > 0 ? HttpMethod.Post : HttpMethod.Get,
            workload.Url(proxy));
        if (workload.IsHttp2)
            (request.Version, request.VersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);
        if (workload.UploadBytes > 0)
            request.Content = new ByteArrayContent(new byte[workload.UploadBytes]);
        try
        {
            // Synchronous sending knows no HTTP/2.
            using var answer = client.SendAsync(request).GetAwaiter().GetResult();
            using var body = new MemoryStream();
            answer.Content.CopyTo(body, null, CancellationToken.None);
            if ((int)answer.StatusCode != 200 || body.Length != workload.AnswerBytes)
                throw new InvalidOperationException(
                    $"answered {(int)answer.StatusCode} with {body.Length} bytes, not 200 with {workload.AnswerBytes}");
        }
        catch (TaskCanceledException)
        {
            throw new InvalidOperationException("did not answer within 10 s");
        }
    }
}
