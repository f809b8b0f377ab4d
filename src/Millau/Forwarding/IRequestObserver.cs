using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// Watches requests: metrics, access log, traces. Called on the request's way, so nothing here may block, throw, or change
/// the request; <see cref="RequestContext.Outcome"/> has what is known so far.
/// </summary>
/// <remarks>
/// The order: <see cref="RequestStarted"/>; for each attempt <see cref="AttemptStarted"/>, <see cref="AttemptAnswered"/> if
/// there is an answer, <see cref="AttemptEnded"/>; <see cref="RequestEnded"/>, once, however the request ended.
/// </remarks>
internal interface IRequestObserver
{
    public void RequestStarted(RequestContext context)
    {
    }

    /// <summary>An instance was chosen; nothing is sent yet.</summary>
    public void AttemptStarted(RequestContext context)
    {
    }

    /// <summary>The final head of the response, or a switch of protocols, is there; its body is not.</summary>
    public void AttemptAnswered(RequestContext context)
    {
    }

    /// <summary>The attempt is over: it failed, or the answer was relayed, or the client went.</summary>
    /// <param name="context">The request's.</param>
    /// <param name="failure"><see cref="AttemptFailure.None"/> for an attempt that was answered.</param>
    public void AttemptEnded(RequestContext context, AttemptFailure failure)
    {
    }

    /// <summary>An instance is left out from now on for its retry period.</summary>
    public void InstanceLeftOut(UpstreamInstance instance, AttemptFailure failure)
    {
    }

    /// <summary>The answer is whole, or there will be none. What is small is flushed to the client after this.</summary>
    public void RequestEnded(RequestContext context);
}
