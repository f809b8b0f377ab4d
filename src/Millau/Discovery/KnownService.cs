using System.Collections.Immutable;

namespace Millau.Discovery;

/// <summary>What <see cref="CatalogBuilder"/> remembers of one service from round to round, and its part of the catalog.</summary>
internal sealed class KnownService
{
    private string _name = "";

    /// <summary>As found in this round; null if it was not.</summary>
    public FoundService? Now { get; set; }

    /// <summary>What all below was made of; null while it is not found.</summary>
    public FoundService? Taken { get; set; }

    /// <summary>Whether what was found last has any label for Millau: only then can it be routed.</summary>
    public bool HasLabels { get; set; }

    /// <summary>The i-th is of the i-th instance of <see cref="Taken"/>.</summary>
    public ImmutableArray<InstanceSight> Sights { get; set; } = [];

    public SaidOnce Said { get; } = new();

    /// <summary>Something below may be another than what was published.</summary>
    public bool IsTouched { get; set; }

    public TimeSpan? MissingSince { get; set; }

    /// <summary>In force while the labels are wrong.</summary>
    public ServiceLabels? LastGood { get; set; }

    /// <summary>What its stack may claim; null if that is not limited.</summary>
    public HostClaim? Claim { get; set; }

    /// <summary>As in the labels, of a service that is not routed too.</summary>
    public (string Certificate, string Key)? Certificate { get; set; }

    /// <summary>As routed now; null when it is not.</summary>
    public ServiceLabels? Labels { get; set; }

    public ImmutableArray<Instance> Instances { get; set; } = [];
    public bool IsStarting { get; set; }
    public string Reason { get; set; } = "";

    /// <summary>As people are told of it, but for the name under which the catalog has it; set with the first sight.</summary>
    public SeenService? Seen { get; set; }

    /// <summary>Its part of the catalog: each the same object for as long as it says the same; null if it has none.</summary>
    public Service? Service { get; private set; }

    /// <inheritdoc cref="Service"/>
    public ServiceCertificate? ServiceCertificate { get; private set; }

    /// <inheritdoc cref="Service"/>
    public SeenService? Shown { get; private set; }

    /// <summary>It has a part in the catalog.</summary>
    public bool IsPublished => Service is not null || ServiceCertificate is not null || Shown is not null;

    /// <summary>Makes its part of the catalog; true when that is another than before.</summary>
    /// <param name="name">Under which the catalog has it.</param>
    public bool Publish(string name)
    {
        if (!IsTouched && name == _name)
            return false;
        var service = Kept(Service, Labels is { } labels ? ToService(name, labels) : null);
        var certificate = Kept(ServiceCertificate, Certificate is { } pair
            ? new ServiceCertificate(name, pair.Certificate, pair.Key) { Claim = Claim } : null);
        var shown = Kept(Shown, Labels is not null || MissingSince is null
            ? Seen! with { RoutedAs = Labels is null ? null : name } : null);
        var isChanged = !ReferenceEquals(service, Service) || !ReferenceEquals(certificate, ServiceCertificate)
            || !ReferenceEquals(shown, Shown);
        (Service, ServiceCertificate, Shown) = (service, certificate, shown);
        // One object is enough.
        Seen = shown ?? Seen;
        _name = name;
        IsTouched = false;
        return isChanged;
    }

    private static T? Kept<T>(T? before, T? now)
        where T : class, IEquatable<T> =>
        before is not null && before.Equals(now) ? before : now;

    private Service ToService(string name, ServiceLabels labels) => new()
    {
        Name = name,
        Hosts = labels.Hosts,
        Path = labels.Path,
        Timeout = labels.Timeout,
        Retry = labels.Retry,
        RedirectsToHttps = labels.RedirectsToHttps,
        Tls = labels.Tls,
        Instances = Instances,
        IsStarting = IsStarting,
        IsRemoved = MissingSince is not null,
    };
}

/// <summary>What events and the time since it was to stop make of an instance.</summary>
/// <param name="Phase">Null when its container is gone.</param>
internal readonly record struct InstanceSight(InstancePhase? Phase, int Epoch, bool IsUnhealthy);
