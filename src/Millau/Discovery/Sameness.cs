namespace Millau.Discovery;

/// <summary>Whether what was read anew says the same as before. Lists in the models compare by identity, so not by <c>==</c>.</summary>
internal static class Sameness
{
    public static bool Of(ServiceModel a, ServiceModel b) =>
        ReferenceEquals(a, b)
        || (a.Id == b.Id && a.Version == b.Version && a.UpdateStatus == b.UpdateStatus && a.Spec?.Name == b.Spec?.Name
            && a.Spec?.Mode == b.Spec?.Mode
            && OfLabels(a.Spec?.Labels, b.Spec?.Labels)
            && OfLabels(a.Spec?.TaskTemplate?.ContainerSpec?.Labels, b.Spec?.TaskTemplate?.ContainerSpec?.Labels)
            && (a.Endpoint?.Ports ?? []).SequenceEqual(b.Endpoint?.Ports ?? []));

    public static bool Of(TaskModel a, TaskModel b) =>
        ReferenceEquals(a, b)
        || (a.Id == b.Id && a.ServiceId == b.ServiceId && a.Slot == b.Slot && a.NodeId == b.NodeId
            && a.DesiredState == b.DesiredState && a.Status == b.Status
            && OfLists(a.NetworksAttachments ?? [], b.NetworksAttachments ?? [], static (x, y) =>
                x?.Network == y?.Network && (x?.Addresses ?? []).SequenceEqual(y?.Addresses ?? [])));

    /// <summary>In order: the Engine lists tasks by id.</summary>
    public static bool Of(List<TaskModel> a, List<TaskModel> b) => OfLists(a, b, Of);

    private static bool OfLists<T>(List<T> a, List<T> b, Func<T, T, bool> isSame)
    {
        if (a.Count != b.Count)
            return false;
        for (var i = 0; i < a.Count; i++)
        {
            if (!isSame(a[i], b[i]))
                return false;
        }

        return true;
    }

    private static bool OfLabels(Dictionary<string, string?>? a, Dictionary<string, string?>? b)
    {
        if ((a?.Count ?? 0) != (b?.Count ?? 0))
            return false;
        foreach (var (name, value) in a ?? [])
        {
            if (!b!.TryGetValue(name, out var other) || other != value)
                return false;
        }

        return true;
    }
}
