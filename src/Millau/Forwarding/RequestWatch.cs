using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// Keeps the <see cref="RequestOutcome"/> and the tallies of instances up to date as a request goes, and tells those who
/// watch. The forwarder says here what happens, and knows nothing of who listens.
/// </summary>
internal sealed class RequestWatch(TimeProvider time, params IRequestObserver[] observers)
{
    public void RequestStarted(RequestContext context)
    {
        context.Outcome.Started = time.GetTimestamp();
        foreach (var observer in observers) observer.RequestStarted(context);
    }

    public long Now => time.GetTimestamp();

    /// <param name="context">The request's.</param>
    /// <param name="since">When it began to wait.</param>
    public void Waited(RequestContext context, long since) => context.Outcome.Waited += time.GetElapsedTime(since);

    public void AttemptStarted(RequestContext context, UpstreamInstance instance)
    {
        var outcome = context.Outcome;
        outcome.Attempts++;
        outcome.IsRetry = outcome.Instance is { } before && before != instance;
        outcome.Instance = instance;
        outcome.Service = instance.Service;
        // From the head of a request to its first attempt nothing is waited for, except an instance.
        var isAtOnce = outcome.Attempts == 1 && outcome.Waited == TimeSpan.Zero;
        context.AttemptStarted = isAtOnce ? outcome.Started : time.GetTimestamp();
        instance.Tally.Begin();
        foreach (var observer in observers) observer.AttemptStarted(context);
    }

    /// <param name="context">The request's.</param>
    /// <param name="status">The instance's.</param>
    public void AttemptAnswered(RequestContext context, int status)
    {
        var outcome = context.Outcome;
        outcome.InstanceStatus = status;
        outcome.Answered = time.GetTimestamp();
        outcome.Instance!.Tally.Answered(time.GetElapsedTime(context.AttemptStarted, outcome.Answered));
        foreach (var observer in observers) observer.AttemptAnswered(context);
    }

    /// <param name="context">The request's.</param>
    /// <param name="failure">How the attempt failed, or that it was answered.</param>
    /// <param name="reason">The failure in words; empty for an answered attempt.</param>
    public void AttemptEnded(RequestContext context, AttemptFailure failure, string reason)
    {
        var outcome = context.Outcome;
        var tally = outcome.Instance!.Tally;
        tally.End();
        // A client that goes takes its attempt with it: that says nothing about the instance.
        if (failure != AttemptFailure.None && !context.IsAbandoned)
        {
            outcome.LastFailure = failure;
            tally.Failed(reason, time.GetUtcNow());
        }
        foreach (var observer in observers) observer.AttemptEnded(context, failure);
    }

    public void InstanceLeftOut(UpstreamInstance instance, AttemptFailure failure)
    {
        foreach (var observer in observers) observer.InstanceLeftOut(instance, failure);
    }

    /// <param name="context">The request's.</param>
    /// <param name="status">The status that the client gets, if it gets one.</param>
    public void RequestEnded(RequestContext context, int status)
    {
        var outcome = context.Outcome;
        outcome.Ended = time.GetTimestamp();
        outcome.RequestBytes += context.Body.BytesRead;
        outcome.ClientGone |= context.ClientGone && !outcome.IsCut;
        outcome.Status = outcome.ClientGone && !context.Exchange.HasStarted ? 0 : status;
        foreach (var observer in observers) observer.RequestEnded(context);
    }
}
