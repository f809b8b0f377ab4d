namespace Millau.Async;

/// <summary>
/// What is made when somebody first asks for it, once, for all who ask. It is made on the thread pool, so that nobody waits on an event
/// loop. A failure is for those who wait; who comes later tries anew. Thread-safe.
/// </summary>
internal sealed class OnDemand<T>(Func<T> make)
{
    private readonly Lock _lock = new();
    private volatile Task<T>? _made;

    /// <summary>Allocates nothing once it is made.</summary>
    public Task<T> GetAsync()
    {
        if (_made is { IsFaulted: false } made) return made;
        lock (_lock)
        {
            if (_made is null or { IsFaulted: true }) _made = Task.Run(make);
            return _made;
        }
    }
}
