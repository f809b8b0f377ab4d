namespace Millau.Tls;

/// <summary>What the other side said when it broke off TLS (RFC 8446 section 6.2).</summary>
internal static class TlsAlerts
{
    /// <summary>The alert in an exception of SslStream, in words; null if there is none.</summary>
    public static string? FindAlert(Exception exception)
    {
        for (var inner = exception; inner is not null; inner = inner.InnerException)
        {
            // OpenSSL's text ends so: "…:SSL routines::sslv3 alert certificate expired", "…::tlsv13 alert certificate required".
            var text = inner.Message;
            var place = text.LastIndexOf(" alert ", StringComparison.Ordinal);
            if (place >= 0 && text.AsSpan(0, place).Contains("routines", StringComparison.Ordinal))
                return "TLS refused by the instance: " + text[(place + " alert ".Length)..].Trim();
        }
        return null;
    }

    /// <summary>
    /// The alert, if it is one by which a server refuses its client: in TLS 1.3 it judges the client's certificate after
    /// the handshake, and nothing that the client sends is looked at before.
    /// </summary>
    public static string? FindRefusal(Exception exception) =>
        FindAlert(exception) is { } alert && Refusals.Any(r => alert.EndsWith(r, StringComparison.Ordinal)) ? alert : null;

    private static readonly string[] Refusals =
    [
        "bad certificate", "unsupported certificate", "certificate revoked", "certificate expired", "certificate unknown",
        "certificate required", "unknown ca", "access denied", "handshake failure",
    ];

    /// <summary>Why a handshake failed, in words.</summary>
    public static string Describe(Exception exception)
    {
        if (FindAlert(exception) is { } alert) return alert;
        var innermost = exception;
        while (innermost.InnerException is { } inner) innermost = inner;
        return exception is IOException ? "the connection ended" : innermost.Message.Trim();
    }
}
