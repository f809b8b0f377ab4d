namespace Millau.Tls;

/// <summary>
/// What is made of some labels of a service whose values are texts or name secrets. Made anew when one of the texts
/// changes; what was good last stays in force while one of them is wrong. One user at a time.
/// </summary>
/// <param name="parts">The labels and their values.</param>
/// <param name="load">
/// Makes it of the texts, in the order of the parts, and puts it in force; else says what is wrong, in words that hold
/// nothing of a key.
/// </param>
internal sealed class LabelMaterial(IReadOnlyList<(string Label, string Value)> parts, Func<string[], string?> load)
{
    private string[]? _texts;
    private string? _problem;

    /// <summary>Something is in force.</summary>
    public bool IsLoaded { get; private set; }

    /// <summary>Looks at the values, and at what they name. Null if all is well; else what is wrong.</summary>
    public string? Refresh(SecretFiles secrets)
    {
        var texts = new string[parts.Count];
        for (var i = 0; i < texts.Length; i++)
        {
            if (!secrets.TryResolve(parts[i].Value, out texts[i], out var problem)) return $"{parts[i].Label}: {problem}";
        }
        if (_texts is not null && texts.AsSpan().SequenceEqual(_texts)) return _problem;
        _texts = texts;
        _problem = load(texts);
        IsLoaded |= _problem is null;
        return _problem;
    }
}
