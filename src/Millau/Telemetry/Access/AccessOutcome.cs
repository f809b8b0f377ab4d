using Microsoft.AspNetCore.Http;
using Millau.Forwarding;

namespace Millau.Telemetry.Access;

/// <summary>What became of a request, in a word.</summary>
internal static class AccessOutcome
{
    public static ReadOnlySpan<byte> Name(RequestOutcome outcome) => outcome switch
    {
        { IsCut: true } => "cut"u8,
        { ClientGone: true } => "client_gone"u8,
        { IsAnswered: true } => "answered"u8,
        { Service: not null, LastFailure: not AttemptFailure.None } => Name(outcome.LastFailure),
        // It waited for an instance and none came, or there was none to wait for.
        { Service: not null } => "unavailable"u8,
        { Status: StatusCodes.Status502BadGateway } => "no_route"u8,
        { Status: >= 300 and < 400 } => "redirected"u8,
        { Status: StatusCodes.Status500InternalServerError } => "error"u8,
        { Status: < 300 } => "answered_here"u8,
        _ => "refused"u8,
    };

    private static ReadOnlySpan<byte> Name(AttemptFailure failure) => failure switch
    {
        AttemptFailure.Connect => "connect_failed"u8,
        AttemptFailure.ConnectTimeout => "connect_timeout"u8,
        AttemptFailure.Local => "no_socket"u8,
        AttemptFailure.Stale or AttemptFailure.Closed => "closed"u8,
        AttemptFailure.BrokenResponse => "broken_response"u8,
        AttemptFailure.Timeout => "timeout"u8,
        _ => "failed"u8,
    };
}
