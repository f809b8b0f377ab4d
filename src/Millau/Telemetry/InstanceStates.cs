using System.Globalization;
using System.Net.Sockets;
using Millau.Discovery;
using Millau.Upstreams;

namespace Millau.Telemetry;

/// <summary>The state of an instance, for people: one word for programs, one sentence for readers.</summary>
internal static class InstanceStates
{
    /// <summary>Takes requests like any other.</summary>
    public const string Ready = "ready";

    /// <summary>Runs, and its port is awaited.</summary>
    public const string Starting = "starting";

    /// <summary>Runs, but its port has not accepted a connection for long.</summary>
    public const string Refusing = "refusing";

    /// <summary>Failed, and is left out for a while.</summary>
    public const string LeftOut = "left-out";

    /// <summary>Docker's health check failed; used while no other can serve.</summary>
    public const string Unhealthy = "unhealthy";

    /// <summary>About to stop; used while no other can serve.</summary>
    public const string Stopping = "stopping";

    /// <summary>Was told to stop; gets only what may be sent again.</summary>
    public const string Closing = "closing";

    /// <summary>No longer there.</summary>
    public const string Gone = "gone";

    public static string Of(UpstreamInstance instance, bool isUnhealthy) => instance switch
    {
        { IsRetired: true } => Gone,
        { IsLeftOut: true } => LeftOut,
        { Phase: InstancePhase.Closing } => Closing,
        { Phase: InstancePhase.Stopping } => isUnhealthy ? Unhealthy : Stopping,
        { IsReady: true } => Ready,
        { IsStarting: true } => Starting,
        _ => Refusing,
    };

    /// <summary>The state in words, with what a request may expect.</summary>
    public static string Describe(string state, UpstreamInstance instance) => state switch
    {
        Ready => "takes requests",
        Starting => "runs, but its port does not accept connections yet" + Error(instance),
        Refusing => "runs, but its port has not accepted a connection" + Error(instance),
        LeftOut => string.Create(CultureInfo.InvariantCulture,
            $"left out for {Math.Ceiling(instance.LeftOutFor.TotalSeconds):0} s more, because it failed"),
        Unhealthy => "unhealthy: used only while no other can serve",
        Stopping => "about to stop: used only while no other can serve",
        Closing => "told to stop: gets only requests that may be sent again",
        _ => "gone",
    };

    /// <summary>What the port said to the probe, in words; empty before it said anything.</summary>
    public static string Error(UpstreamInstance instance) => instance.ProbeError switch
    {
        SocketError.Success => "",
        SocketError.ConnectionRefused => " (connection refused)",
        SocketError.TimedOut => " (no answer)",
        SocketError.HostUnreachable or SocketError.NetworkUnreachable => " (no route to it)",
        var error => $" ({error})",
    };
}
