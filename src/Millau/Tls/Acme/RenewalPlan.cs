using System.Collections.Immutable;

namespace Millau.Tls.Acme;

/// <summary>An order that is to be made.</summary>
/// <param name="Service">Whose names they are; for people.</param>
/// <param name="Replaces">The certificate that is due; null for names that have none.</param>
internal sealed record PlannedOrder(string Service, ImmutableArray<string> Names, HeldCertificate? Replaces);

/// <summary>Decides what is to be ordered, from what is wanted and what there is. Pure.</summary>
internal static class RenewalPlan
{
    /// <summary>
    /// Names without a certificate are ordered together. When one is due, all names of its service go into the new one, so
    /// that what was had bit by bit becomes one; where they are too many, each certificate is renewed as it is.
    /// </summary>
    /// <param name="services">What is wanted.</param>
    /// <param name="best">The best certificate of each name that has one.</param>
    /// <param name="isFree">Whether a name may be ordered now.</param>
    /// <param name="isDue">Whether a certificate is to be renewed.</param>
    /// <param name="most">Names that fit in one order.</param>
    public static ImmutableArray<PlannedOrder> Make(
        ImmutableArray<ServiceNames> services,
        IReadOnlyDictionary<string, HeldCertificate> best,
        Func<string, bool> isFree,
        Func<HeldCertificate, bool> isDue,
        DateTimeOffset now,
        int most)
    {
        var orders = ImmutableArray.CreateBuilder<PlannedOrder>();
        foreach (var (service, names) in services)
        {
            var free = names.Where(isFree).ToImmutableArray();
            var missing = new List<string>();
            var due = new Dictionary<HeldCertificate, List<string>>();
            foreach (var name in free)
            {
                if (!best.TryGetValue(name, out var held) || held.NotAfter <= now)
                    missing.Add(name);
                else if (isDue(held))
                    (due.TryGetValue(held, out var group) ? group : due[held] = []).Add(name);
            }

            if (due.Count > 0 && free.Length <= most)
            {
                orders.Add(new PlannedOrder(service, free, due.Keys.MinBy(h => h.RenewAt)));
                continue;
            }
            foreach (var chunk in missing.Chunk(most))
                orders.Add(new PlannedOrder(service, [.. chunk], null));
            foreach (var (held, group) in due)
                orders.AddRange(group.Chunk(most).Select(chunk => new PlannedOrder(service, [.. chunk], held)));
        }
        return orders.DrainToImmutable();
    }
}
