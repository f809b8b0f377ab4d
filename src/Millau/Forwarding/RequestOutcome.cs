using Microsoft.AspNetCore.Http;
using Millau.Ingress;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// What becomes of one request, as metrics, access log and traces tell it. Written by the request as it goes, reused with
/// its context; complete when <see cref="IRequestObserver.RequestEnded"/> is called, and not to be kept after that.
/// </summary>
/// <remarks>Timestamps are those of <see cref="TimeProvider.GetTimestamp"/>; 0 if it never came to that.</remarks>
internal sealed class RequestOutcome
{
    /// <summary>Where the client came in.</summary>
    public Listener Listener { get; set; } = Listener.None;

    /// <summary>The head of the request was read.</summary>
    public long Started { get; set; }

    /// <summary>The final head of an instance's response was there, of a switch of protocols too.</summary>
    public long Answered { get; set; }

    /// <summary>The answer was handed to the client's connection, or the request was given up.</summary>
    public long Ended { get; set; }

    /// <summary>The path of the best route that matched; null if none did.</summary>
    public string? Route { get; set; }

    /// <summary>How long it waited for an instance on its way up.</summary>
    public TimeSpan Waited { get; set; }

    /// <summary>
    /// The service of <see cref="Instance"/>; before any attempt, the first one of the best route. Null if nothing matched.
    /// </summary>
    public UpstreamService? Service { get; set; }

    /// <summary>The instance of the last attempt; null without one.</summary>
    public UpstreamInstance? Instance { get; set; }

    /// <summary>Attempts, the second one at an instance that had only closed an idle connection included.</summary>
    public int Attempts { get; set; }

    /// <summary>The last attempt was at another instance than the one before.</summary>
    public bool IsRetry { get; set; }

    /// <summary>How the last failed attempt failed.</summary>
    public AttemptFailure LastFailure { get; set; }

    /// <summary>The status that an instance answered with; 0 if none did.</summary>
    public int InstanceStatus { get; set; }

    /// <summary>The status that the client was sent; 0 if it was gone before.</summary>
    public int Status { get; set; }

    /// <summary>Bytes of the request's body that were read from the client, without framing; of a tunnel, what it sent.</summary>
    public long RequestBytes { get; set; }

    /// <summary>Bytes of the response's body for the client, without framing; of a tunnel, what the instance sent.</summary>
    public long ResponseBytes { get; set; }

    /// <summary>The client went before the answer was whole.</summary>
    public bool ClientGone { get; set; }

    /// <summary>The instance broke off within its answer, so the client's connection was cut.</summary>
    public bool IsCut { get; set; }

    /// <summary>A route matched.</summary>
    public bool IsMatched => Service is not null;

    /// <summary>An instance answered.</summary>
    public bool IsAnswered => InstanceStatus != 0;

    /// <summary>The instance switched protocols: what follows are no bodies, and may last for days.</summary>
    public bool IsTunnel => InstanceStatus == StatusCodes.Status101SwitchingProtocols;

    public void Clear()
    {
        Started = Answered = Ended = 0;
        Route = null;
        Waited = TimeSpan.Zero;
        Service = null;
        Instance = null;
        Attempts = InstanceStatus = Status = 0;
        LastFailure = AttemptFailure.None;
        RequestBytes = ResponseBytes = 0;
        ClientGone = IsCut = IsRetry = false;
    }
}
