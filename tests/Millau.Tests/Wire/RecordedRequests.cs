using System.Collections.Concurrent;
using Millau.Forwarding;

namespace Millau.Tests.Wire;

/// <summary>Keeps what is told of each request, in the order in which it is told.</summary>
internal sealed class RecordedRequests : IRequestObserver
{
    private readonly ConcurrentQueue<string> _calls = new();
    private readonly ConcurrentQueue<Ended> _ended = new();

    /// <summary>An outcome as it was at the end of its request.</summary>
    internal sealed record Ended(
        string Port, string Protocol, string? Service, string? Instance, int Attempts, AttemptFailure LastFailure,
        int InstanceStatus, int Status, long RequestBytes, long ResponseBytes, bool ClientGone, bool IsCut,
        long Started, long Answered, long EndedAt);

    public string[] Calls => [.. _calls];

    /// <summary>The requests that ended, once there are this many.</summary>
    public async Task<Ended[]> EndedAsync(int count)
    {
        await Eventually.TrueAsync(() => _ended.Count >= count, "a request did not end");
        return [.. _ended];
    }

    public void RequestStarted(RequestContext context) => _calls.Enqueue("started");

    public void AttemptStarted(RequestContext context) => _calls.Enqueue($"attempt {context.Outcome.Instance!.Name}");

    public void AttemptAnswered(RequestContext context) => _calls.Enqueue($"answered {context.Outcome.InstanceStatus}");

    public void AttemptEnded(RequestContext context, AttemptFailure failure) => _calls.Enqueue($"attempt ended {failure}");

    public void RequestEnded(RequestContext context)
    {
        var o = context.Outcome;
        _calls.Enqueue("ended");
        _ended.Enqueue(new Ended(
            o.Listener.Port, o.Listener.Protocol, o.Service?.Name, o.Instance?.Name, o.Attempts, o.LastFailure,
            o.InstanceStatus, o.Status, o.RequestBytes, o.ResponseBytes, o.ClientGone, o.IsCut,
            o.Started, o.Answered, o.Ended));
    }
}
