namespace Millau.Discovery;

/// <summary>
/// Asks the Engine for services and tasks: for a few by a filter, for more of them by the whole list. Runs beside the loop that
/// owns <see cref="SwarmWatcher"/>, and touches nothing of it. One read at a time.
/// </summary>
internal sealed class SwarmReader(EngineClient engine)
{
    /// <summary>Services that one filter may name; with more of them it costs more than the whole list of tasks.</summary>
    public const int LongestFilter = 32;

    public async Task<SwarmRead> ReadAsync(SwarmQuestion asked, CancellationToken cancellation)
    {
        var read = new SwarmRead(asked.IsAll);
        if (asked.Changed is { } changed)
            read = await ReadServicesAsync(read, asked.Known, changed, cancellation);
        if (read.Fault is not null)
            return read;
        return await ReadTasksAsync(read, asked, cancellation);
    }

    private async Task<SwarmRead> ReadServicesAsync(
        SwarmRead read, Dictionary<string, ServiceModel> known, IReadOnlyCollection<string> changed, CancellationToken cancellation)
    {
        if (changed.Count > 0)
        {
            var few = await engine.GetServicesAsync(changed, cancellation);
            read = read with { Cost = read.Cost + few.Cost };
            if (few.Value is null)
                return read with { Fault = few.Fault };
            // The filter takes beginnings of ids as well.
            var found = Usable(few.Value).Where(s => changed.Contains(s.Id!)).ToList();
            // What is not there any more may be an Engine that just starts and shows nothing yet: the whole list tells.
            if (changed.All(id => !known.ContainsKey(id) || found.Exists(s => s.Id == id)))
                return read with { Services = found, ServiceScope = changed };
        }

        var all = await engine.GetServicesAsync([], cancellation);
        read = read with { Cost = read.Cost + all.Cost };
        return all.Value is null
            ? read with { Fault = all.Fault }
            : read with { Services = [.. Usable(all.Value)] };
    }

    private async Task<SwarmRead> ReadTasksAsync(SwarmRead read, SwarmQuestion asked, CancellationToken cancellation)
    {
        var fresh = new Dictionary<string, ServiceModel>(read.Services?.Count ?? 0);
        foreach (var service in read.Services ?? [])
            fresh[service.Id!] = service;
        var isWhole = read is { Services: not null, ServiceScope: null };

        var ids = read.IsAll
            ? fresh.Values.Where(SwarmModel.HasMillauLabels).Select(s => s.Id!).ToList()
            : [.. asked.Followed];
        // The filter knows no service that was removed, and the tasks of such a one are worth knowing.
        var removed = asked.IsDraining || ids.Exists(id => Find(id) is null)
                      || (isWhole && asked.Known.Keys.Any(id => !fresh.ContainsKey(id)));
        ids.RemoveAll(id => Find(id) is not { } service || !SwarmModel.HasMillauLabels(service));
        if (ids.Count == 0 && !removed)
            return read;
        var filter = removed || ids.Count > LongestFilter ? [] : ids;
        var tasks = await engine.GetTasksAsync(filter, cancellation);
        read = read with { Cost = read.Cost + tasks.Cost };
        if (tasks.Fault is { Kind: EngineFaultKind.NotFound })
        {
            filter = [];
            tasks = await engine.GetTasksAsync([], cancellation);
            read = read with { Cost = read.Cost + tasks.Cost };
        }

        return tasks.Value is { } list
            ? read with
            {
                TaskScope = filter.Count == 0 ? null : filter,
                Tasks = [.. list.Where(t => t is { Id.Length: > 0, ServiceId.Length: > 0 }).Select(t => t!)],
            }
            : read with { Fault = tasks.Fault };

        ServiceModel? Find(string id) =>
            fresh.TryGetValue(id, out var service) ? service : isWhole ? null : asked.Known.GetValueOrDefault(id);
    }

    private static IEnumerable<ServiceModel> Usable(List<ServiceModel?> services) =>
        services.Where(s => s is { Id.Length: > 0 }).Select(s => s!);
}

/// <summary>What a read is to bring.</summary>
/// <param name="IsAll">Everything.</param>
/// <param name="Changed">Services to read, <see cref="SwarmReader.LongestFilter"/> at most; none of them for all; null for no services.</param>
/// <param name="Followed">Services whose tasks are to be read.</param>
/// <param name="Known">All services so far; replaced, never changed, while a read is on its way.</param>
/// <param name="IsDraining">Services that were removed have tasks yet.</param>
internal sealed record SwarmQuestion(
    bool IsAll,
    IReadOnlyCollection<string>? Changed,
    IReadOnlyList<string> Followed,
    Dictionary<string, ServiceModel> Known,
    bool IsDraining);

/// <summary>What one read brought.</summary>
/// <param name="IsAll">Everything was to be read.</param>
internal sealed record SwarmRead(bool IsAll)
{
    /// <summary>The services that were read; null for all, if any were.</summary>
    public IReadOnlyCollection<string>? ServiceScope { get; init; }

    /// <summary>Null when they were not read.</summary>
    public List<ServiceModel>? Services { get; init; }

    /// <summary>The services whose tasks were read; null for all.</summary>
    public IReadOnlyCollection<string>? TaskScope { get; init; }

    /// <summary>Null when they were not read.</summary>
    public List<TaskModel>? Tasks { get; init; }

    /// <summary>What stopped the read.</summary>
    public EngineFault? Fault { get; init; }

    /// <summary>Processor time that parsing took.</summary>
    public TimeSpan Cost { get; init; }
}
