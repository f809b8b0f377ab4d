using Millau.Transport;

namespace Millau.Tests.Transport;

public class SplicePipesTests
{
    [Fact]
    public void The_pipe_that_was_used_last_is_used_next()
    {
        using var pipes = new SplicePipes(most: 2);
        var first = pipes.TryTake()!;
        var second = pipes.TryTake()!;
        Assert.NotSame(first, second);
        pipes.GiveBack(first);
        pipes.GiveBack(second);
        Assert.Same(second, pipes.TryTake());
        Assert.Same(first, pipes.TryTake());
    }

    [Fact]
    public void No_more_are_kept_than_allowed()
    {
        using var pipes = new SplicePipes(most: 2);
        var taken = Enumerable.Range(0, 5).Select(_ => pipes.TryTake()!).ToList();
        taken.ForEach(pipes.GiveBack);
        Assert.Equal(2, pipes.Count);
    }

    [Fact]
    public void None_is_kept_after_the_end()
    {
        var pipes = new SplicePipes(most: 2);
        var late = pipes.TryTake()!;
        pipes.GiveBack(pipes.TryTake()!);
        pipes.Dispose();
        pipes.GiveBack(late);
        Assert.Equal(0, pipes.Count);
    }

    [Fact]
    public void Where_splicing_is_refused_there_are_none()
    {
        using var pipes = new SplicePipes(most: 2);
        pipes.GiveBack(pipes.TryTake()!);
        pipes.Refuse();
        Assert.Null(pipes.TryTake());
    }

    [Fact]
    public void A_pipe_has_its_usual_size_if_the_kernel_refuses_the_one_asked_for()
    {
        using var usual = SplicePipe.TryCreate(-1);
        Assert.InRange(usual!.Capacity, 4096, 1024 * 1024);
        using var small = SplicePipe.TryCreate(4096);
        Assert.Equal(4096, small!.Capacity);
    }
}
