using System.Text;
using Microsoft.AspNetCore.WebUtilities;

namespace Millau.Ingress.Http1;

/// <summary>The status lines of HTTP/1.1 (RFC 9112 section 4), made once.</summary>
internal static class StatusLines
{
    private const int First = 100, Last = 599;

    private static readonly byte[]?[] Lines = new byte[]?[Last - First + 1];

    /// <summary>The line with the usual phrase, its end included. Any thread.</summary>
    public static ReadOnlySpan<byte> Of(int status)
    {
        if (status is < First or > Last) return Compose(status);
        return Lines[status - First] ??= Compose(status);
    }

    /// <summary>The phrase stands there as it is wanted, so the line above says the same.</summary>
    public static bool IsUsual(int status, ReadOnlySpan<byte> reason) =>
        reason.IsEmpty || (status == 200 && reason.SequenceEqual("OK"u8));

    private static byte[] Compose(int status) => Encoding.ASCII.GetBytes($"HTTP/1.1 {status} {ReasonPhrases.GetReasonPhrase(status)}\r\n");
}
