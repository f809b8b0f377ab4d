using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Millau.Telemetry;

/// <summary>
/// <c>/ui</c>: one page that reads <c>/status</c> again and again. It loads nothing from elsewhere, and its policy lets
/// run what is in it and nothing else, so that a label which got past its text could still do nothing.
/// </summary>
internal static class UiPage
{
    private const string Resource = "ui.html";

    public static TelemetryPage Create()
    {
        // When somebody looks: few do, and hashing loads OpenSSL.
        var answer = new Lazy<TelemetryAnswer>(Read);
        return _ => new(answer.Value);
    }

    private static TelemetryAnswer Read()
    {
        using var stream = typeof(UiPage).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"{Resource} is not embedded");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        // The hashes are of the text as it is sent.
        var html = reader.ReadToEnd().ReplaceLineEndings("\n");
        var policy = $"default-src 'none'; script-src {Hash(html, "script")}; style-src {Hash(html, "style")}; "
            + "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            + "require-trusted-types-for 'script'; trusted-types 'none'";
        return new TelemetryAnswer(StatusCodes.Status200OK, "text/html; charset=utf-8", Encoding.UTF8.GetBytes(html))
        {
            Fields =
            [
                ("Content-Security-Policy", policy),
                ("Referrer-Policy", "no-referrer"),
                ("Cross-Origin-Opener-Policy", "same-origin"),
                ("Cross-Origin-Resource-Policy", "same-origin"),
            ],
        };
    }

    /// <summary>The policy's word for the one element of this name (CSP level 3, section 2.3.1).</summary>
    private static string Hash(string html, string element)
    {
        var start = html.IndexOf($"<{element}>", StringComparison.Ordinal) + element.Length + 2;
        var end = html.IndexOf($"</{element}>", start, StringComparison.Ordinal);
        return $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(html[start..end])))}'";
    }
}
