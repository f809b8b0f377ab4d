namespace Millau.Forwarding;

/// <summary>How far an attempt came before it failed, and how.</summary>
internal enum AttemptFailure
{
    /// <summary>Did not fail.</summary>
    None,

    /// <summary>The connection was refused or could not be made. Nothing was sent.</summary>
    Connect,

    /// <summary>The connection was not made in time. Nothing was sent.</summary>
    ConnectTimeout,

    /// <summary>Millau has no descriptor, port or memory left. Nothing was sent; the instance is not to blame.</summary>
    Local,

    /// <summary>
    /// TLS with the instance could not be made, or one side does not accept the other's certificate. Nothing was sent, or
    /// nothing of it was taken.
    /// </summary>
    Tls,

    /// <summary>A kept connection ended before any byte of a response: the instance may just have closed it.</summary>
    Stale,

    /// <summary>The instance closed or reset the connection before a whole response head.</summary>
    Closed,

    /// <summary>What the instance sent is no HTTP/1 response.</summary>
    BrokenResponse,

    /// <summary>No response head, and no progress, within the service's timeout.</summary>
    Timeout,
}

/// <summary>Whether a request whose attempt failed may be given to another instance.</summary>
internal static class RetryRule
{
    /// <summary>Largest body that is kept to be sent again, in bytes.</summary>
    public const int MaxKeptBody = 1024 * 1024;

    /// <summary>Nothing reached the instance: whatever the request is, it was not executed.</summary>
    public static bool NothingSent(AttemptFailure failure) =>
        failure is AttemptFailure.Connect or AttemptFailure.ConnectTimeout or AttemptFailure.Local or AttemptFailure.Tls;

    /// <summary>The failure speaks against the instance, which is left out for a while.</summary>
    public static bool BlamesInstance(AttemptFailure failure) =>
        failure is not (AttemptFailure.None or AttemptFailure.Local or AttemptFailure.Stale);

    /// <summary>Executing the request twice does what executing it once does (RFC 9110 section 9.2.2), by its method.</summary>
    public static bool IsIdempotent(string method) =>
        method is "GET" or "HEAD" or "OPTIONS" or "PUT" or "DELETE" or "TRACE";

    /// <param name="failure">How the attempt ended.</param>
    /// <param name="repeatable">Idempotent by its method, or by an Idempotency-Key of its client.</param>
    /// <param name="bodyKept">All of the body that was read from the client is still there.</param>
    public static bool MayRetry(AttemptFailure failure, bool repeatable, bool bodyKept) =>
        bodyKept && (NothingSent(failure) || repeatable);

    /// <summary>One line for the client and the log.</summary>
    public static string Describe(AttemptFailure failure) => failure switch
    {
        AttemptFailure.Connect => "connection refused or failed",
        AttemptFailure.ConnectTimeout => "connection timed out",
        AttemptFailure.Local => "no socket to be had",
        AttemptFailure.Tls => "no TLS with it",
        AttemptFailure.Stale or AttemptFailure.Closed => "connection closed before a response",
        AttemptFailure.BrokenResponse => "invalid response",
        AttemptFailure.Timeout => "no response in time",
        _ => "failed",
    };
}
