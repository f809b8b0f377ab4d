using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace Millau.Async;

/// <summary>
/// What an async method is while it waits: its locals, and the result that its caller awaits. Used again by later calls of
/// the same method; the caller's await is the one and only that may look at it.
/// </summary>
internal abstract class KeptState<TResult> : IValueTaskSource<TResult>, IValueTaskSource
{
    private ManualResetValueTaskSourceCore<TResult> _core;

    /// <summary>Continues the method where it waits.</summary>
    public abstract Action Resume { get; }

    /// <summary>Which of its uses this is: a task of an earlier one is refused.</summary>
    public short Version => _core.Version;

    public void SetResult(TResult result) => _core.SetResult(result);

    public void SetException(Exception exception) => _core.SetException(exception);

    public TResult GetResult(short token)
    {
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            // A second look at it, against the rules of a ValueTask, has thrown already and must not give it away again.
            if (token == _core.Version)
            {
                _core.Reset();
                GiveBack();
            }
        }
    }

    void IValueTaskSource.GetResult(short token) => GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    protected abstract void GiveBack();
}

/// <inheritdoc/>
internal sealed class KeptState<TStateMachine, TResult> : KeptState<TResult>
    where TStateMachine : IAsyncStateMachine
{
    /// <summary>Free states move between threads by as many at a time.</summary>
    private const int ChainLength = 32;

    private const int MostChains = 32;

    [ThreadStatic]
    private static Shelf? t_shelf;

    // Full chains that no thread has. A call that begins on one thread and ends on another takes here what it gave back there.
    private static readonly Lock Gate = new();
    private static readonly KeptState<TStateMachine, TResult>?[] Chains = new KeptState<TStateMachine, TResult>?[MostChains];
    private static int s_chains;

    private TStateMachine? _stateMachine;
    private KeptState<TStateMachine, TResult>? _next;

    private KeptState() => Resume = () => _stateMachine!.MoveNext();

    public override Action Resume { get; }

    /// <summary>The locals; the method works on them in place.</summary>
    public ref TStateMachine StateMachine => ref _stateMachine!;

    public static KeptState<TStateMachine, TResult> Take()
    {
        var shelf = t_shelf ??= new Shelf();
        if (shelf.Top is null)
        {
            shelf.Top = shelf.Spare ?? TakeChain();
            shelf.Spare = null;
            if (shelf.Top is null) return new KeptState<TStateMachine, TResult>();
            shelf.Count = ChainLength;
        }
        var state = shelf.Top;
        shelf.Top = state._next;
        shelf.Count--;
        state._next = null;
        return state;
    }

    protected override void GiveBack()
    {
        // Let go of what the locals refer to.
        _stateMachine = default;
        var shelf = t_shelf ??= new Shelf();
        if (shelf.Count == ChainLength)
        {
            if (shelf.Spare is { } chain) GiveChain(chain);
            shelf.Spare = shelf.Top;
            shelf.Top = null;
            shelf.Count = 0;
        }
        _next = shelf.Top;
        shelf.Top = this;
        shelf.Count++;
    }

    private static KeptState<TStateMachine, TResult>? TakeChain()
    {
        lock (Gate)
        {
            if (s_chains == 0) return null;
            var chain = Chains[--s_chains];
            Chains[s_chains] = null;
            return chain;
        }
    }

    private static void GiveChain(KeptState<TStateMachine, TResult> chain)
    {
        lock (Gate)
        {
            if (s_chains < MostChains) Chains[s_chains++] = chain;
        }
    }

    /// <summary>Free states of one thread: some, and besides either none or a full chain.</summary>
    private sealed class Shelf
    {
        public KeptState<TStateMachine, TResult>? Top;
        public KeptState<TStateMachine, TResult>? Spare;
        public int Count;
    }
}
