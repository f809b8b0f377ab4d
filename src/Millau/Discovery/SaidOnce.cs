namespace Millau.Discovery;

/// <summary>
/// Keeps lasting mistakes of one service from being logged again at every read: each is said when it appears or changes. Used in
/// rounds: what is not mentioned in a round is over, and would be said again.
/// </summary>
internal sealed class SaidOnce
{
    // Most services have nothing wrong with them.
    private Dictionary<string, (string Text, int Round)>? _said;
    private int _round;

    public void BeginRound() => _round++;

    /// <summary>Whether to say it now.</summary>
    public bool IsNew(string topic, string text)
    {
        _said ??= [];
        var isNew = !_said.TryGetValue(topic, out var before) || before.Text != text;
        _said[topic] = (text, _round);
        return isNew;
    }

    public void EndRound()
    {
        if (_said is null)
            return;
        foreach (var (topic, (_, round)) in _said)
        {
            if (round != _round)
                _said.Remove(topic);
        }
    }

    /// <summary>All is over.</summary>
    public void Forget() => _said = null;
}
