using System.Text;
using System.Text.Json;
using Millau.Discovery;
using Millau.Http1;
using Millau.Ingress;
using Millau.Routing;
using Millau.Tests.Shared;
using Millau.Tls;

namespace Millau.Tests.Fuzz;

/// <summary>Everything that reads what others wrote: whatever comes, it neither throws nor says two things of the same bytes.</summary>
public class FuzzTests
{
    [Fact]
    public void Response_heads() => Fuzzer.Run(
        HostileResponses.All.Select(r => r.Bytes).Where(b => b.Length < 1000).Append(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: X-A, close\r\nKeep-Alive: timeout=5\r\nX-A: b\r\n\r\n"),
        static (bytes, random) =>
        {
            var whole = Parse([bytes], out var head);
            var cut = Parse(Fuzzer.Cut(bytes, random), out var again);
            Assert.Equal(whole, cut);
            if (whole.Status != ParseStatus.Complete) return;
            Assert.Equal((head.Status, head.ContentLength, head.IsChunked, head.HasBothFramings, head.ConnectionClose, head.FieldCount),
                (again.Status, again.ContentLength, again.IsChunked, again.HasBothFramings, again.ConnectionClose, again.FieldCount));
            Assert.True(head.Status is >= 100 and <= 999 && head.ContentLength >= -1 && !(head.IsChunked && head.ContentLength >= 0));
            foreach (var field in head.Fields)
            {
                Assert.True(HttpChars.IsToken(bytes.AsSpan(field.NameStart, field.NameLength)));
                Assert.True(HttpChars.IsFieldValue(bytes.AsSpan(field.ValueStart, field.ValueLength)));
            }
        });

    [Fact]
    public void Request_heads_that_are_read() => Fuzzer.Run(
        HostileRequests.All.Select(r => r.Bytes).Concat(HarmlessRequests.All.Select(r => r.Bytes)).Where(b => b.Length < 1000),
        static (bytes, random) =>
        {
            var fields = new RequestFields();
            var parser = new RequestParser();
            var whole = parser.Parse(bytes, fields);
            var again = new RequestFields();
            var seen = new List<byte>();
            var cut = new RequestParser();
            var status = ParseStatus.Incomplete;
            foreach (var piece in Fuzzer.Cut(bytes, random))
            {
                seen.AddRange(piece.Span);
                status = cut.Parse(seen.ToArray(), again);
                if (status != ParseStatus.Incomplete) break;
            }
            Assert.Equal(whole, status);
            if (whole != ParseStatus.Complete) return;
            Assert.Equal((parser.HeadLength, fields.Count), (cut.HeadLength, again.Count));
            Assert.True(HttpChars.IsToken(bytes.AsSpan(parser.MethodStart, parser.MethodLength)));
            Assert.DoesNotContain(bytes[parser.TargetStart..(parser.TargetStart + parser.TargetLength)], b => b is (byte)' ' or (byte)'\n');
            foreach (var field in fields.All)
            {
                Assert.True(HttpChars.IsToken(field.Name(bytes)));
                Assert.True(HttpChars.IsFieldValue(field.Value(bytes)));
            }
        });

    [Fact]
    public void Chunked_bodies() => Fuzzer.Run(
        ["5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", "0\r\n\r\n", "a\r\n0123456789\r\n1\r\na\r\n0\r\n\r\n", "fffffffffffffff\r\n", "2 \r\nab\r\n00\r\nA: b\r\nC: d\r\n\r\n"],
        static (bytes, random) =>
        {
            var whole = Decode([bytes]);
            Assert.Equal(whole, Decode(Fuzzer.Cut(bytes, random)));
            if (!whole.Done) return;
            // What was taken for a body is one: written anew it is the same again.
            var written = Encoding.Latin1.GetBytes($"{(whole.Body.Length > 0 ? $"{whole.Body.Length:x}\r\n{whole.Body}\r\n" : "")}0\r\n\r\n");
            Assert.Equal(whole.Body, Decode([written]).Body);
        });

    [Fact]
    public void Request_heads_that_are_written() => Fuzzer.Run(
        ["GET|/a?b|X-A|b|Cookie|c=d", "POST|/|Content-Type|text/plain|X|\t", "OPTIONS|*|A|"],
        static (bytes, random) =>
        {
            var parts = Encoding.Latin1.GetString(bytes).Split('|');
            var writer = new RequestWriter();
            writer.Start(parts[0], parts.Length > 1 ? parts[1] : "");
            for (var i = 2; i + 1 < parts.Length; i += 2) writer.Field(parts[i], parts[i + 1]);
            writer.End();
            var text = Encoding.Latin1.GetString(writer.Written.Span);
            var valid = writer.IsValid;
            writer.Release();
            if (!valid) return;
            // As many lines as were meant, one request, nothing else.
            Assert.Equal(Math.Max(0, parts.Length - 2) / 2 + 2, text.Split("\r\n").Length - 1);
            Assert.EndsWith("\r\n\r\n", text);
            Assert.Equal(text.Length - 4, text.IndexOf("\r\n\r\n", StringComparison.Ordinal));
            Assert.DoesNotContain('\r', text.Replace("\r\n", ""));
            Assert.DoesNotContain('\n', text.Replace("\r\n", ""));
            Assert.Equal(3, text[..text.IndexOf('\r')].Split(' ').Length);
        });

    [Fact]
    public void Labels() => Fuzzer.Run(
        ["millau.enabled=true|millau.port=80|millau.hosts=a.test b.test|millau.path=/x|millau.timeout=1.5|millau.retry=2", "millau.cert=x|millau.key=y|MILLAU.ENABLED=True"],
        static (bytes, random) =>
        {
            var labels = Encoding.Latin1.GetString(bytes).Split('|').Select(l => l.Split('=', 2))
                .Select(l => new KeyValuePair<string, string?>(l[0], l.ElementAtOrDefault(1)));
            var reading = ServiceLabels.Read(labels);
            Assert.Equal(reading.Verdict == LabelVerdict.Good, reading.Labels is not null);
            if (reading.Labels is not { } good) return;
            Assert.InRange(good.Port, 1, 65535);
            Assert.StartsWith("/", good.Path);
            Assert.True(good.Timeout > TimeSpan.Zero && good.Retry > TimeSpan.Zero && good.Hosts.Length > 0);
            Assert.All(good.Hosts, h => Assert.True(HostName.IsValid(h) && HostName.Normalize(h) == h));
        });

    [Fact]
    public void Targets_and_hosts() => Fuzzer.Run(
        HarmlessRequests.All.Select(r => r.Bytes.Split(' ')[1]).Concat(["http://a.test:80/x?y", "a.test.:8080", "[::1]:80", "/a/%2E%2e/%2f/..;/."]),
        static (bytes, random) =>
        {
            var text = Encoding.Latin1.GetString(bytes);
            var host = HostName.Normalize(text);
            Assert.True(HostName.Bare(text).Length <= text.Length && host.Length <= text.Length + 4);
            if (HostName.IsValid(text)) Assert.Equal(host, HostName.Normalize(host));
            if (!RequestTarget.TryParse(text, out var target, out _) || target.IsAsterisk) return;
            var sent = target.Sent.ToString();
            var path = target.Path.ToString();
            Assert.True(HttpChars.IsTarget(sent) && sent.StartsWith('/') && path.StartsWith('/'));
            Assert.DoesNotContain(path.Split('/'), segment => segment is "." or "..");
            // What the instance reads is what was matched, and resolving it again changes nothing.
            Assert.True(RequestTarget.TryParse(sent, out var again, out _), sent);
            Assert.Equal((sent, path), (again.Sent.ToString(), again.Path.ToString()));
        });

    [Fact]
    public void Engine_json() => Fuzzer.Run(
        [
            """[{"ID":"a","Spec":{"Name":"app","Labels":{"millau.enabled":"true","millau.port":"80"},"Mode":{"Replicated":{"Replicas":2}}},"Endpoint":{"Ports":[{"TargetPort":80,"PublishedPort":8080}]},"UpdateStatus":{"State":"updating"}}]""",
            """[{"ID":"t","ServiceID":"a","Slot":1,"NodeID":"n","DesiredState":"running","Status":{"State":"running","ContainerStatus":{"ContainerID":"c"}},"NetworksAttachments":[{"Network":{"ID":"n","Spec":{"Name":"millau"}},"Addresses":["10.0.0.1/24"]}]}]""",
            """[{"Id":"c","Names":["/app"],"Labels":{"millau.port":"80"},"State":"running","Status":"Up (healthy)","HostConfig":{"NetworkMode":"host"},"NetworkSettings":{"Networks":{"bridge":{"NetworkID":"n","IPAddress":"172.17.0.2","GlobalIPv6Address":""}}},"Ports":[{"PrivatePort":80,"Type":"tcp"}]}]""",
            """{"Type":"container","Action":"die","Actor":{"ID":"c","Attributes":{"name":"x"}}}""",
        ],
        (bytes, random) =>
        {
            // JsonException is the one failure that its reader expects.
            Read(bytes, b => (JsonSerializer.Deserialize(b, EngineJson.Default.ListServiceModel) ?? [])
                .ForEach(s => _ = s is null ? "" : SwarmModel.NameOf(s) + SwarmModel.LabelsOf(s).Count()));
            Read(bytes, b => (JsonSerializer.Deserialize(b, EngineJson.Default.ListTaskModel) ?? [])
                .ForEach(t => _ = t is not null && (SwarmModel.IsAlive(t) || SwarmModel.IsStarting(t) || SwarmModel.IsWanted(t))));
            Read(bytes, b => _ = PlainModel.Services((JsonSerializer.Deserialize(b, EngineJson.Default.ListContainerModel) ?? [])
                .Where(c => c is not null)).Select(s => s.Instances.Length).Sum());
            Read(bytes, b => JsonSerializer.Deserialize(b, EngineJson.Default.EventModel));
        });

    [Fact]
    public void Pairs_of_certificate_and_key()
    {
        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        var request = new System.Security.Cryptography.X509Certificates.CertificateRequest(
            "CN=a.test", key, System.Security.Cryptography.HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddDays(1));
        var (pem, keyPem) = (certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
        Fuzzer.Run(
            [$"{pem}|{keyPem}", $"{Convert.ToBase64String(Encoding.ASCII.GetBytes(pem))}|{Convert.ToBase64String(Encoding.ASCII.GetBytes(keyPem))}"],
            static (bytes, random) =>
            {
                var parts = Encoding.Latin1.GetString(bytes).Split('|');
                var loaded = PemPair.TryLoad(parts[0], parts.ElementAtOrDefault(1) ?? "", out var certificate, out var problem);
                Assert.Equal(loaded, certificate is not null);
                // A few words, and nothing of the key.
                if (!loaded) Assert.InRange(problem.Length, 1, 200);
            });
    }

    [Fact]
    public void Proxy_protocol_headers() => Fuzzer.Run(
        [
            "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\nGET", "PROXY TCP6 2001:db8::1 ::2 5000 80\r\n", "PROXY UNKNOWN\r\n",
            "\r\n\r\n\0\r\nQUIT\n\u0021\u0011\0\u000c\u0001\u0002\u0003\u0004\u0009\u0009\u0009\u0009\u0013\u0088\0PGET",
            "\r\n\r\n\0\r\nQUIT\n\u0020\0\0\0", "\r\n\r\n\0\r\nQUIT\n\u0021\u0011\0\u0013\u0001\u0002\u0003\u0004\u0009\u0009\u0009\u0009\u0013\u0088\0P\u0004\0\u0004abcd",
        ],
        static (bytes, random) =>
        {
            var whole = ProxyHeader.Parse(bytes, out var header);
            // A longer input changes an answer only from incomplete to another.
            var last = ParseStatus.Incomplete;
            for (var length = 0; length <= bytes.Length; length++)
            {
                var status = ProxyHeader.Parse(bytes.AsSpan(0, length), out var part);
                Assert.True(last == ParseStatus.Incomplete || last == status);
                if (status == ParseStatus.Complete) Assert.Equal(header, part);
                last = status;
            }
            Assert.Equal(whole, last);
        });

    [Fact]
    public void Trailers_and_first_messages_of_TLS() => Fuzzer.Run(
        ["X: y\nA: b\n", "Content-Length: 5\n", "\u0016\u0003\u0001\0\u0040\u0001\0\0\u003c\u0003\u0003"],
        static (bytes, random) =>
        {
            // The decoder gives lines, each with its end.
            Trailers.TryRead([.. bytes.Where(b => b != '\r'), (byte)'\n'], out var fields);
            foreach (var (name, value) in fields ?? []) Assert.True(HttpChars.IsToken(name) && HttpChars.IsFieldValue(value));
            ClientHelloPeek.OffersAcmeTls(bytes);
        });

    private static void Read(byte[] bytes, Action<byte[]> read)
    {
        try
        {
            read(bytes);
        }
        catch (JsonException)
        {
        }
    }

    private static (ParseStatus Status, int Length) Parse(IEnumerable<Memory<byte>> pieces, out ResponseHead head)
    {
        var parser = new ResponseParser();
        head = new ResponseHead();
        var seen = new List<byte>();
        foreach (var piece in pieces)
        {
            seen.AddRange(piece.Span);
            var status = parser.Parse(seen.ToArray(), head);
            if (status == ParseStatus.Invalid) return (status, 0);
            if (status == ParseStatus.Complete) return (status, parser.HeadLength);
        }
        return (ParseStatus.Incomplete, 0);
    }

    private static (bool Valid, bool Done, string Body) Decode(IEnumerable<Memory<byte>> pieces)
    {
        var decoder = new ChunkedDecoder();
        var body = new StringBuilder();
        foreach (var piece in pieces)
        {
            ReadOnlySpan<byte> rest = piece.Span;
            while (!rest.IsEmpty && !decoder.IsDone)
            {
                if (!decoder.TryRead(rest, out var consumed, out var data)) return (false, false, body.ToString());
                Assert.True(consumed > 0 && data <= consumed);
                body.Append(Encoding.Latin1.GetString(rest.Slice(consumed - data, data)));
                rest = rest[consumed..];
            }
        }
        return (true, decoder.IsDone, body.ToString());
    }
}
