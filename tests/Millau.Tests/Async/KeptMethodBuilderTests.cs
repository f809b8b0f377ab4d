using System.Runtime.CompilerServices;
using Millau.Async;

namespace Millau.Tests.Async;

public class KeptMethodBuilderTests
{
    [Fact]
    public async Task A_method_that_never_waits_has_its_result_at_once()
    {
        var task = AddAsync(Task.CompletedTask, 1, 2);

        Assert.True(task.IsCompletedSuccessfully);
        Assert.Equal(3, await task);
    }

    [Fact]
    public async Task A_method_that_waits_has_its_result_afterwards()
    {
        var gate = new TaskCompletionSource();
        var task = AddAsync(gate.Task, 1, 2);

        Assert.False(task.IsCompleted);
        gate.SetResult();
        Assert.Equal(3, await task);
    }

    [Fact]
    public async Task A_method_without_a_result_ends_too()
    {
        var gate = new TaskCompletionSource();
        var seen = new List<string>();
        var task = NoteAsync(gate.Task, seen);

        Assert.Equal(["before"], seen);
        gate.SetResult();
        await task;
        Assert.Equal(["before", "after"], seen);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_a_method_throws_is_thrown_where_it_is_awaited(bool waits)
    {
        var gate = new TaskCompletionSource();
        if (!waits) gate.SetResult();
        var task = ThrowAsync(gate.Task, new InvalidDataException("broken"));
        var noted = NoteAsync(Task.FromException(new InvalidDataException("broken")), []);
        if (waits) gate.SetResult();

        Assert.Equal("broken", (await Assert.ThrowsAsync<InvalidDataException>(async () => await task)).Message);
        await Assert.ThrowsAsync<InvalidDataException>(async () => await noted);
    }

    [Fact]
    public async Task Cancellation_is_told_as_such()
    {
        var canceled = new CancellationToken(canceled: true);

        var task = ThrowAsync(Task.CompletedTask, new OperationCanceledException(canceled));

        Assert.True(task.IsCanceled);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await task);
    }

    [Fact]
    public async Task Many_calls_at_a_time_keep_their_own_locals_round_after_round()
    {
        for (var round = 0; round < 3; round++)
        {
            var gates = Enumerable.Range(0, 500).Select(_ => new TaskCompletionSource()).ToArray();
            var tasks = gates.Select((g, i) => AddAsync(g.Task, i, round)).ToArray();
            for (var i = gates.Length - 1; i >= 0; i--) gates[i].SetResult();
            for (var i = 0; i < tasks.Length; i++) Assert.Equal(i + round, await tasks[i]);
        }
    }

    [Fact]
    public async Task Calls_from_many_threads_keep_their_own_locals()
    {
        await Parallel.ForAsync(0, 64, async (worker, _) =>
        {
            for (var i = 0; i < 200; i++)
                Assert.Equal(worker + i, await AddAsync(Task.Run(() => { }), worker, i));
        });
    }

    [Fact]
    public async Task A_call_may_begin_within_the_continuation_of_another()
    {
        var gate = new TaskCompletionSource();
        var total = SumAsync(gate.Task);
        gate.SetResult();

        Assert.Equal(3 + 7, await total);

        static async Task<int> SumAsync(Task gate)
        {
            var first = await AddAsync(gate, 1, 2);
            // The state of the first call is free by now, and its frame still on the stack.
            return first + await AddAsync(Task.Run(() => { }), 3, 4);
        }
    }

    [Fact]
    public void As_many_calls_as_there_were_at_a_time_allocate_nothing()
    {
        const int AtATime = 64;
        var gates = new Gate[AtATime];
        var tasks = new ValueTask<int>[AtATime];
        for (var i = 0; i < AtATime; i++) gates[i] = new Gate();
        Round();

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10; i++) Round();

#if DEBUG
        // State machines are classes in this configuration: one for each call, and nothing else.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 10 * AtATime * 120);
#else
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
#endif

        void Round()
        {
            for (var i = 0; i < AtATime; i++) tasks[i] = AddAsync(gates[i], i);
            for (var i = 0; i < AtATime; i++) gates[i].Open();
            for (var i = 0; i < AtATime; i++)
                if (Result(tasks[i]) != i) throw new InvalidOperationException("mixed up");
        }
    }

    [Fact]
    public void Calls_that_begin_on_one_thread_and_end_on_another_are_used_again_too()
    {
        const int AtATime = 64;
        var gates = new Gate[AtATime];
        var tasks = new ValueTask<int>[AtATime];
        for (var i = 0; i < AtATime; i++) gates[i] = new Gate();
        using var begun = new SemaphoreSlim(0);
        using var ended = new SemaphoreSlim(0);
        var allocated = 0L;
        const int Rounds = 20;
        // Enough rounds for the other thread to have its fill, and to pass on what is more.
        var ending = new Thread(() =>
        {
            for (var round = 0; round < Rounds; round++)
            {
                begun.Wait();
                for (var i = 0; i < AtATime; i++) gates[i].Open();
                for (var i = 0; i < AtATime; i++) _ = Result(tasks[i]);
                ended.Release();
            }
        });
        ending.Start();
        for (var round = 0; round < Rounds; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < AtATime; i++) tasks[i] = AddAsync(gates[i], i, i, i);
            if (round >= Rounds / 2) allocated += GC.GetAllocatedBytesForCurrentThread() - before;
            begun.Release();
            ended.Wait();
        }
        ending.Join();

#if DEBUG
        Assert.InRange(allocated, 1, Rounds / 2 * AtATime * 120);
#else
        Assert.Equal(0, allocated);
#endif
    }

    [Fact]
    public void A_task_that_was_awaited_is_refused_a_second_time()
    {
        var gate = new Gate();
        var task = AddAsync(gate, 5);
        gate.Open();
        Assert.Equal(5, Result(task));

        Assert.Throws<InvalidOperationException>(() => Result(task));
    }

    [Fact]
    public void What_a_call_held_is_let_go_with_its_end()
    {
        var held = CallHolding();

        GC.Collect();

        Assert.False(held.IsAlive);

        [MethodImpl(MethodImplOptions.NoInlining)]
        static WeakReference CallHolding()
        {
            var gate = new Gate();
            var large = new byte[1000];
            var task = HoldAsync(gate, large);
            gate.Open();
            Assert.Equal(1000, Result(task));
            return new WeakReference(large);
        }
    }

    /// <summary>Of a task that has ended.</summary>
    private static int Result(ValueTask<int> task) => task.GetAwaiter().GetResult();

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private static async ValueTask<int> AddAsync(Task gate, int a, int b)
    {
        await gate.ConfigureAwait(false);
        return a + b;
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private static async ValueTask<int> AddAsync(Gate gate, int a)
    {
        await gate;
        return a;
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private static async ValueTask<int> AddAsync(Gate gate, int a, int b, int c)
    {
        await gate;
        return a + b + c;
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private static async ValueTask<int> HoldAsync(Gate gate, byte[] held)
    {
        await gate;
        return held.Length;
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private static async ValueTask<int> ThrowAsync(Task gate, Exception exception)
    {
        await gate.ConfigureAwait(false);
        throw exception;
    }

    [AsyncMethodBuilder(typeof(KeptMethodBuilder))]
    private static async ValueTask NoteAsync(Task gate, List<string> seen)
    {
        seen.Add("before");
        await gate.ConfigureAwait(false);
        seen.Add("after");
    }

    /// <summary>Something to wait for that allocates nothing.</summary>
    private sealed class Gate : ICriticalNotifyCompletion
    {
        private Action? _continuation;

        public bool IsCompleted => false;

        public Gate GetAwaiter() => this;

        public void GetResult()
        {
        }

        public void OnCompleted(Action continuation) => _continuation = continuation;

        public void UnsafeOnCompleted(Action continuation) => _continuation = continuation;

        public void Open() => _continuation!();
    }
}
