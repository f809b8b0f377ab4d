using Millau.Memory;

namespace Millau.Tests.Memory;

public class HeadArraysTests
{
    [Fact]
    public async Task All_that_are_out_at_a_time_are_different_whichever_thread_gave_them_back()
    {
        for (var round = 0; round < 3; round++)
        {
            // More than a thread keeps.
            var mine = Enumerable.Range(0, 300).Select(_ => HeadArrays.Pool.Rent(100)).ToList();
            var others = await Task.Run(() => Enumerable.Range(0, 300).Select(_ => HeadArrays.Pool.Rent(HeadArrays.UsualLength)).ToList());
            var all = mine.Concat(others).ToHashSet(ReferenceEqualityComparer.Instance);
            Assert.Equal(600, all.Count);
            Assert.All(mine.Concat(others), array => Assert.True(array.Length >= HeadArrays.UsualLength));
            foreach (var array in others) HeadArrays.Pool.Return(array);
            await Task.Run(() => mine.ForEach(HeadArrays.Pool.Return));
        }
    }

    [Fact]
    public void What_is_given_back_is_taken_next()
    {
        var array = HeadArrays.Pool.Rent(10);
        HeadArrays.Pool.Return(array);
        var next = HeadArrays.Pool.Rent(HeadArrays.UsualLength);

        Assert.Same(array, next);
        HeadArrays.Pool.Return(next);
    }

    [Fact]
    public void A_long_head_gets_a_long_array()
    {
        var array = HeadArrays.Pool.Rent(HeadArrays.UsualLength + 1);

        Assert.True(array.Length > HeadArrays.UsualLength);
        HeadArrays.Pool.Return(array);
    }
}
