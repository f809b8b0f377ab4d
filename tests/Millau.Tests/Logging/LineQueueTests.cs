using System.Diagnostics;
using System.IO.Pipes;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Millau.Logging;
using Millau.Tests.Wire;

namespace Millau.Tests.Logging;

public class LineQueueTests
{
    private static readonly byte[] Line = Encoding.ASCII.GetBytes(new string('x', 99) + "\n");

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Lines_come_out_whole_and_in_order()
    {
        var output = new MemoryStream();
        using (var queue = new LineQueue(output, 1 << 20, TimeSpan.Zero, _time))
            for (var i = 0; i < 10_000; i++) Assert.True(queue.TryWrite(Encoding.ASCII.GetBytes($"{i}\n")));

        Assert.Equal(string.Concat(Enumerable.Range(0, 10_000).Select(i => $"{i}\n")), Encoding.ASCII.GetString(output.ToArray()));
    }

    [Fact]
    public async Task A_pipe_that_nobody_reads_stops_no_writer_and_what_is_dropped_is_said()
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.In);
        await using var output = new AnonymousPipeClientStream(PipeDirection.Out, pipe.ClientSafePipeHandle);
        using var queue = new LineQueue(output, 16 * 1024, TimeSpan.Zero, _time);
        var said = new List<long>();
        queue.LinesDropped += count =>
        {
            lock (said) said.Add(count);
        };

        // Far more than the pipe and the queue hold.
        var clock = Stopwatch.StartNew();
        const int written = 20_000;
        var taken = 0;
        for (var i = 0; i < written; i++)
            if (queue.TryWrite(Line)) taken++;
        Assert.True(clock.Elapsed < ScriptedConnection.Deadline);
        Assert.Equal(written - taken, queue.Dropped);
        Assert.True(queue.Dropped > 0);

        // Somebody reads at last: all that was taken is there.
        var reading = Task.Run(() =>
        {
            var buffer = new byte[Line.Length];
            for (var i = 0; i < taken; i++)
            {
                pipe.ReadExactly(buffer);
                Assert.Equal(Line, buffer);
            }
        });
        await reading.WaitAsync(ScriptedConnection.Deadline);
        _time.Advance(TimeSpan.FromMinutes(1));
        queue.TryWrite(Line);
        await Eventually.TrueAsync(() =>
        {
            lock (said) return said.Sum() == queue.Dropped;
        });
        // At once when the pipe was full first, and what came after that a minute later.
        Assert.InRange(said.Count, 1, 2);
    }

    [Fact]
    public async Task Drops_are_said_once_a_minute_at_most()
    {
        using var output = new GatedStream();
        using var queue = new LineQueue(output, 1000 + LineQueue.Reserve, TimeSpan.Zero, _time);
        var said = 0L;
        queue.LinesDropped += count => Interlocked.Add(ref said, count);
        Flood(queue, output);
        output.Open();
        await Eventually.TrueAsync(() => Interlocked.Read(ref said) == queue.Dropped);
        var first = said;
        await Eventually.TrueAsync(() => output.Written == 11 * Line.Length);

        output.Shut();
        Flood(queue, output);
        output.Open();
        await Eventually.TrueAsync(() => queue.TryWrite(Line));
        Assert.Equal(first, Interlocked.Read(ref said));
        _time.Advance(TimeSpan.FromMinutes(1));

        await Eventually.TrueAsync(() => queue.TryWrite(Line) && Interlocked.Read(ref said) == queue.Dropped);
    }

    [Fact]
    public void The_end_waits_for_a_stalled_stream_but_not_for_long()
    {
        using var output = new GatedStream();
        var queue = new LineQueue(output, 1000 + LineQueue.Reserve, TimeSpan.Zero, _time);
        queue.TryWrite(Line);
        var clock = Stopwatch.StartNew();

        queue.Dispose();

        Assert.True(clock.Elapsed > TimeSpan.FromSeconds(1) && clock.Elapsed < ScriptedConnection.Deadline);
        Assert.False(queue.TryWrite(Line));
        output.Open();
    }

    [Fact]
    public void Lines_are_gathered_until_half_is_full()
    {
        using var output = new GatedStream();
        output.Open();
        using (var queue = new LineQueue(output, 100 * Line.Length, TimeSpan.FromMinutes(10), _time))
            for (var i = 0; i < 10; i++) queue.TryWrite(Line);

        // One call for all of them, at the end, though the time to linger is not over.
        Assert.Equal(1, output.Calls);
        Assert.Equal(10 * Line.Length, output.Written);
    }

    [Fact]
    public void Taking_a_line_allocates_nothing()
    {
        using var queue = new LineQueue(Stream.Null, 1 << 20, TimeSpan.FromMilliseconds(100), _time);
        queue.TryWrite(Line);
        var before = GC.GetAllocatedBytesForCurrentThread();

        for (var i = 0; i < 1000; i++) queue.TryWrite(Line);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public async Task A_log_that_nobody_reads_holds_up_nobody_and_says_later_what_it_lost()
    {
        using var output = new GatedStream();
        using var factory = LineLoggerProvider.CreateFactory(LogLevel.Debug, LogFormat.Text, output, TimeProvider.System);
        var logger = factory.CreateLogger("Millau");
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < 20_000; i++) Log.ClientGone(logger, "192.0.2.1", "a.test");
        Assert.True(clock.Elapsed < ScriptedConnection.Deadline);

        output.Open();

        await Eventually.TrueAsync(() => output.Text.Contains(" WARN  log lines dropped, nobody took them in time lines=", StringComparison.Ordinal));
    }

    private static void Flood(LineQueue queue, GatedStream output)
    {
        // With the writer held up by a first line, nothing is taken until the gate opens, and so nothing is said.
        queue.TryWrite(Line);
        Assert.True(SpinWait.SpinUntil(() => output.IsWaiting, ScriptedConnection.Deadline));
        while (queue.TryWrite(Line))
        {
        }
    }

    /// <summary>Takes nothing while it is shut, as it is at first.</summary>
    private sealed class GatedStream : MemoryStream
    {
        private readonly ManualResetEventSlim _gate = new();
        private volatile bool _waiting;
        private int _calls;

        public bool IsWaiting => _waiting;
        public int Calls => Volatile.Read(ref _calls);
        public long Written
        {
            get
            {
                lock (_gate) return Length;
            }
        }

        public string Text
        {
            get
            {
                lock (_gate) return Encoding.UTF8.GetString(ToArray());
            }
        }

        public void Open() => _gate.Set();

        public void Shut() => _gate.Reset();

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            _waiting = !_gate.IsSet;
            _gate.Wait(ScriptedConnection.Deadline);
            _waiting = false;
            lock (_gate) base.Write(buffer.ToArray(), 0, buffer.Length);
            Interlocked.Increment(ref _calls);
        }
    }
}
