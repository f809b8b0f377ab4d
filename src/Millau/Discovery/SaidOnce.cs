namespace Millau.Discovery;

/// <summary>
/// Keeps lasting mistakes from being logged again at every read: each is said when it appears or changes. Used in
/// rounds: what is not mentioned in a round is over, and would be said again.
/// </summary>
internal sealed class SaidOnce
{
    private readonly Dictionary<(string Subject, string Topic), (string Text, int Round)> _said = [];
    private int _round;

    public void BeginRound() => _round++;

    /// <summary>Whether to say it now.</summary>
    public bool IsNew(string subject, string topic, string text)
    {
        var isNew = !_said.TryGetValue((subject, topic), out var before) || before.Text != text;
        _said[(subject, topic)] = (text, _round);
        return isNew;
    }

    public void EndRound()
    {
        foreach (var (key, (_, round)) in _said)
        {
            if (round != _round)
                _said.Remove(key);
        }
    }
}
