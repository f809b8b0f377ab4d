using System.Runtime.CompilerServices;

namespace Millau.Async;

/// <summary>
/// Builds async methods of a request's way, <c>[AsyncMethodBuilder(typeof(KeptMethodBuilder&lt;&gt;))]</c>, that allocate nothing
/// once they have been called as often at a time as they are now. The framework's pooling builder keeps one state for a
/// thread and one for a core: with 64 requests in flight, most of them were made anew.
/// </summary>
/// <remarks>
/// The execution context is not carried over an await: nothing on a request's way uses ambient state. What is called from
/// there sees the context of the thread that continues.
/// </remarks>
internal struct KeptMethodBuilder<TResult>
{
    private TResult? _result;

    // Null: it ended without waiting. Else the state that waits, or a failed task.
    private object? _pending;

    public static KeptMethodBuilder<TResult> Create() => default;

    public readonly ValueTask<TResult> Task => _pending switch
    {
        null => new ValueTask<TResult>(_result!),
        KeptState<TResult> state => new ValueTask<TResult>(state, state.Version),
        var failed => new ValueTask<TResult>((Task<TResult>)failed),
    };

    /// <summary>For methods without a result.</summary>
    public readonly ValueTask TaskWithoutResult => _pending switch
    {
        null => default,
        KeptState<TResult> state => new ValueTask(state, state.Version),
        var failed => new ValueTask((Task)failed),
    };

    // The framework's own, which sees to it that nothing ambient leaks to the caller.
    public readonly void Start<TStateMachine>(ref TStateMachine stateMachine)
        where TStateMachine : IAsyncStateMachine => default(AsyncTaskMethodBuilder).Start(ref stateMachine);

    public readonly void SetStateMachine(IAsyncStateMachine stateMachine)
    {
        // Of use only to a builder whose state machine is a class.
    }

    public void SetResult(TResult result)
    {
        // The continuation may give the state away, and this builder with it, before this returns.
        if (_pending is KeptState<TResult> state) state.SetResult(result);
        else _result = result;
    }

    public void SetException(Exception exception)
    {
        if (_pending is KeptState<TResult> state) state.SetException(exception);
        else
            _pending = exception is OperationCanceledException canceled && canceled.CancellationToken.IsCancellationRequested
                ? System.Threading.Tasks.Task.FromCanceled<TResult>(canceled.CancellationToken)
                : System.Threading.Tasks.Task.FromException<TResult>(exception);
    }

    public void AwaitOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : INotifyCompletion
        where TStateMachine : IAsyncStateMachine => awaiter.OnCompleted(Waiting(ref stateMachine).Resume);

    public void AwaitUnsafeOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : ICriticalNotifyCompletion
        where TStateMachine : IAsyncStateMachine => awaiter.UnsafeOnCompleted(Waiting(ref stateMachine).Resume);

    /// <summary>With the first await, the locals move from the caller's stack to a kept state.</summary>
    private KeptState<TResult> Waiting<TStateMachine>(ref TStateMachine stateMachine)
        where TStateMachine : IAsyncStateMachine
    {
        if (_pending is KeptState<TResult> moved) return moved;
        var state = KeptState<TStateMachine, TResult>.Take();
        // Before the move: this builder is one of the locals.
        _pending = state;
        state.StateMachine = stateMachine;
        return state;
    }
}

/// <summary>The same for methods without a result.</summary>
internal struct KeptMethodBuilder
{
    private KeptMethodBuilder<Nothing> _inner;

    public static KeptMethodBuilder Create() => default;

    public readonly ValueTask Task => _inner.TaskWithoutResult;

    public readonly void Start<TStateMachine>(ref TStateMachine stateMachine)
        where TStateMachine : IAsyncStateMachine => _inner.Start(ref stateMachine);

    public readonly void SetStateMachine(IAsyncStateMachine stateMachine) => _inner.SetStateMachine(stateMachine);

    public void SetResult() => _inner.SetResult(default);

    public void SetException(Exception exception) => _inner.SetException(exception);

    public void AwaitOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : INotifyCompletion
        where TStateMachine : IAsyncStateMachine => _inner.AwaitOnCompleted(ref awaiter, ref stateMachine);

    public void AwaitUnsafeOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : ICriticalNotifyCompletion
        where TStateMachine : IAsyncStateMachine => _inner.AwaitUnsafeOnCompleted(ref awaiter, ref stateMachine);

    internal readonly record struct Nothing;
}
