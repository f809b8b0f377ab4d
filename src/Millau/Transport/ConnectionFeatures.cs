using System.Collections;
using Microsoft.AspNetCore.Http.Features;

namespace Millau.Transport;

/// <summary>
/// The few features that a client's connection has, without the tables of a collection of many: each idle client holds them.
/// </summary>
internal sealed class ConnectionFeatures : IFeatureCollection
{
    // Its own, the listener's and the server's; with TLS two or three more.
    private KeyValuePair<Type, object>[] _all = new KeyValuePair<Type, object>[4];
    private int _count;

    public bool IsReadOnly => false;

    public int Revision { get; private set; }

    public object? this[Type key]
    {
        get
        {
            var at = IndexOf(key);
            return at < 0 ? null : _all[at].Value;
        }
        set
        {
            Revision++;
            var at = IndexOf(key);
            if (value is null)
            {
                if (at >= 0) RemoveAt(at);
                return;
            }
            if (at < 0)
            {
                if (_count == _all.Length) Array.Resize(ref _all, _count * 2);
                at = _count++;
            }
            _all[at] = new(key, value);
        }
    }

    public TFeature? Get<TFeature>() => (TFeature?)this[typeof(TFeature)];

    public void Set<TFeature>(TFeature? instance) => this[typeof(TFeature)] = instance;

    public IEnumerator<KeyValuePair<Type, object>> GetEnumerator() => _all.Take(_count).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private int IndexOf(Type key)
    {
        for (var i = 0; i < _count; i++)
            if (_all[i].Key == key) return i;
        return -1;
    }

    private void RemoveAt(int at)
    {
        _all[at] = _all[--_count];
        _all[_count] = default;
    }
}
