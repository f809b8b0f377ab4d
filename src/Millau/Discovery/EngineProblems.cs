using System.Collections.Immutable;

namespace Millau.Discovery;

/// <summary>What is wrong between Millau and the Engine, or with Millau's own deployment, in words. Pure.</summary>
internal static class EngineProblems
{
    /// <summary>The Engine cannot be read; the last known routes stay.</summary>
    public static Problem Unreachable(string endpoint, string error) => new(
        "engine-unreachable", ProblemSeverity.Error,
        $"The Engine at {endpoint} cannot be read: {error}. The last known routes stay in force.",
        "Start the Engine; check DOCKER_HOST, the mount of its socket, and user and group of it.");

    /// <summary>A list that cannot be had, or is old.</summary>
    /// <param name="fault">Why.</param>
    /// <param name="what">What is not seen without it.</param>
    public static Problem OfList(EngineFault fault, string what) => fault.Kind switch
    {
        EngineFaultKind.Forbidden => Forbidden(fault, $"{what} are not seen"),
        EngineFaultKind.NoManager => new(
            "not-a-manager", ProblemSeverity.Error,
            $"The Engine is no Swarm manager, so Swarm services are not seen: {fault}.",
            "Place Millau on a manager (constraint node.role == manager), or name a manager in DOCKER_HOST."),
        EngineFaultKind.NoSwarm => new(
            "no-swarm", ProblemSeverity.Info, "The Engine is in no Swarm, so only its containers are routed.", ""),
        _ => new(
            "engine-stale", ProblemSeverity.Warning,
            $"{Capital(what)} cannot be read, what was known last stays in force: {fault}.",
            "A manager without quorum looks like this; look at docker node ls."),
    };

    /// <summary>A filtering proxy does not let a path through.</summary>
    public static Problem Forbidden(EngineFault fault, string consequence) => new(
        "engine-forbidden", ProblemSeverity.Error,
        $"The Engine API refuses GET {fault.Path} ({fault.Message}), so {consequence}.",
        $"Let the socket proxy pass GET {fault.Path}.");

    /// <summary>Which networks Millau is on is a guess.</summary>
    public static Problem OwnNetworksUnknown(EngineFault fault, string subnets) => new(
        "own-networks-unknown", ProblemSeverity.Warning,
        $"Which networks Millau is on cannot be read, so it goes by the subnets of its interfaces ({subnets}): {fault}.",
        $"Let the socket proxy pass GET {fault.Path}.");

    /// <summary>The mesh puts its own address in the place of the client's.</summary>
    public static Problem IngressMode(ImmutableArray<int> ports) => new(
        "ingress-mode", ProblemSeverity.Warning,
        $"Millau's own port {string.Join(", ", ports)} is published in ingress mode: the routing mesh hides the addresses of "
        + "clients, so X-Forwarded-For and X-Real-IP name an address of the mesh.",
        $"Publish it in host mode: ports: [{{target: …, published: {ports[0]}, mode: host}}].");

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
