using System.Globalization;
using System.Text;
using Millau.Tests.Shared;

namespace Millau.PeerTests.Hostile;

/// <summary>The rows of docs/hostile.md as files for varnishtest, made from the same lists as the wire tests.</summary>
internal static class VarnishFiles
{
    // What a client sends stands in a file as a string; beyond this a file would be of no use to a reader.
    private const int MaxLength = 50_000;

    /// <summary>Name and content of each file, one a row.</summary>
    public static IEnumerable<(string Name, string Text)> All()
    {
        foreach (var row in HostileRequests.All.Where(r => r.Bytes.Length < MaxLength).GroupBy(r => r.Row))
            yield return ($"refused-{row.Key:00}.vtc", Refused(row.Key, row));
        foreach (var row in HarmlessRequests.All.GroupBy(r => r.Row))
            yield return ($"harmless-{row.Key:00}.vtc", Harmless(row.Key, row));
        foreach (var row in HostileResponses.All.Where(r => r.Bytes.Length < MaxLength).GroupBy(r => r.Row))
            yield return ($"response-{row.Key:00}.vtc", Response(row.Key, row));
    }

    // No server listens: what reached for one would be a 502.
    private static string Refused(int row, IEnumerable<HostileRequest> requests)
    {
        var text = Start(row, "refused, and nothing is asked of an instance");
        foreach (var request in requests)
        {
            text.Append($"# {request.Name}\nclient c1 -connect \"127.0.0.1:${{millau}}\" {{\n");
            Send(text, request.Bytes);
            text.Append($"\trxresp\n\texpect resp.status ~ \"^({request.Status})$\"\n\texpect resp.http.connection == \"close\"\n\texpect_close\n}} -run\n\n");
        }
        return text.ToString();
    }

    private static string Harmless(int row, IEnumerable<HarmlessRequest> requests)
    {
        var text = Start(row, "forwarded without the trap");
        foreach (var request in requests)
        {
            var split = request.Forwarded.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            var lines = request.Forwarded[..split].Split("\r\n");
            var fields = lines.Skip(1).Select(l => l.Split(": ", 2)).ToList();
            text.Append($"# {request.Name}\nserver s1 -listen \"127.0.0.1:${{origin}}\" {{\n\trxreq\n");
            text.Append($"\texpect req.method == \"{lines[0].Split(' ')[0]}\"\n\texpect req.url == {Quote(lines[0].Split(' ')[1])}\n");
            foreach (var field in fields) text.Append($"\texpect req.http.{field[0]} == {Quote(field[1])}\n");
            var sent = request.Bytes[..request.Bytes.IndexOf("\r\n\r\n", StringComparison.Ordinal)].Split("\r\n").Skip(1).Select(l => l.Split(':')[0]);
            foreach (var gone in sent.Where(s => fields.All(f => !f[0].Equals(s, StringComparison.OrdinalIgnoreCase))).Distinct())
                text.Append($"\texpect req.http.{gone} == <undef>\n");
            if (request.Forwarded.EndsWith("ab", StringComparison.Ordinal) || request.Forwarded.EndsWith("ab\r\n0\r\n\r\n", StringComparison.Ordinal))
                text.Append("\texpect req.body == \"ab\"\n");
            text.Append("\ttxresp -hdr \"Connection: close\" -body \"ok\"\n} -start\n\n");
            text.Append("client c1 -connect \"127.0.0.1:${millau}\" {\n");
            Send(text, request.Bytes);
            text.Append("\trxresp\n\texpect resp.status == 200\n\texpect resp.body == \"ok\"\n} -run\n\nserver s1 -wait\n\n");
        }
        return text.ToString();
    }

    private static string Response(int row, IEnumerable<HostileResponse> responses)
    {
        var text = Start(row, "an answer that is a 502 in place of itself");
        foreach (var response in responses)
        {
            text.Append($"# {response.Name}\nserver s1 -listen \"127.0.0.1:${{origin}}\" {{\n\trxreq\n");
            // Millau may have closed before all of it was sent.
            text.Append("\tnon_fatal\n");
            Send(text, response.Bytes);
            text.Append("} -start\n\nclient c1 -connect \"127.0.0.1:${millau}\" {\n");
            Send(text, "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
            text.Append("\trxresp\n\texpect resp.status == 502\n\texpect resp.body !~ \"evil\"\n} -run\n\nserver s1 -wait\n\n");
        }
        return text.ToString();
    }

    private static StringBuilder Start(int row, string what) => new StringBuilder()
        .Append(CultureInfo.InvariantCulture, $"varnishtest \"row {row} of docs/hostile.md: {what}\"\n\n# Made from tests/Shared. Ports: ${{millau}} and ${{origin}}.\n\n");

    // Text where it can be read, hexadecimal where a byte would be lost.
    private static void Send(StringBuilder text, string bytes)
    {
        if (bytes.All(c => c is '\r' or '\n' or '\t' or (>= ' ' and <= '~')) && !bytes.Contains('$') && bytes.Length < 2000)
        {
            text.Append($"\tsend {Quote(bytes)}\n");
            return;
        }
        foreach (var piece in bytes.Chunk(1000))
            text.Append($"\tsendhex \"{Convert.ToHexStringLower([.. piece.Select(c => (byte)c)])}\"\n");
    }

    private static string Quote(string value) =>
        "\"" + value.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\r", "\\r").Replace("\n", "\\n").Replace("\t", "\\t") + "\"";
}
