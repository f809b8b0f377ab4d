namespace Millau.Discovery;

/// <summary>
/// An Engine that starts up may answer with an empty list. One that comes after a full one is believed only when two
/// further reads agree.
/// </summary>
internal sealed class EmptyListGuard
{
    private int _seen;

    /// <summary>Whether to take over a list of <paramref name="count"/> after one of <paramref name="before"/>.</summary>
    public bool Believes(int before, int count)
    {
        if (before == 0 || count > 0 || ++_seen > 2)
        {
            _seen = 0;
            return true;
        }

        return false;
    }
}
