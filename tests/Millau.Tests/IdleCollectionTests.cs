using Microsoft.Extensions.Time.Testing;

namespace Millau.Tests;

/// <summary>When memory is given back.</summary>
public sealed class IdleCollectionTests : IDisposable
{
    private const long Megabyte = 1024 * 1024;

    private readonly FakeTimeProvider _time = new();
    private readonly IdleCollection _collection;
    private int _collections = 5;
    private long _held = 10 * Megabyte;
    private int _collected;

    public IdleCollectionTests()
    {
        _collection = new IdleCollection(_time, () => _collections, () => _held, () =>
        {
            _collected++;
            _collections++;
            _held = 8 * Megabyte;
        });
        _collection.Start();
    }

    [Fact]
    public void What_the_start_left_is_given_back_once()
    {
        Pass(1);
        Assert.Equal(1, _collected);
        Pass(100);
        Assert.Equal(1, _collected);
    }

    [Fact]
    public void Nothing_happens_while_the_collector_runs_by_itself()
    {
        for (var i = 0; i < 10; i++)
        {
            _collections++;
            _held += 20 * Megabyte;
            Pass(1);
        }
        Assert.Equal(0, _collected);
    }

    [Fact]
    public void What_a_burst_held_is_given_back_when_it_is_over()
    {
        Pass(1);
        _collections += 3;
        _held = 100 * Megabyte;
        Pass(1);
        Assert.Equal(1, _collected);
        Pass(1);
        Assert.Equal(2, _collected);
        Assert.Equal(8 * Megabyte, _held);
    }

    [Fact]
    public void A_collection_that_left_hardly_more_than_before_is_no_reason()
    {
        Pass(1);
        _collections++;
        _held = 11 * Megabyte;
        Pass(10);
        Assert.Equal(1, _collected);
    }

    public void Dispose() => _collection.Dispose();

    private void Pass(int times)
    {
        for (var i = 0; i < times; i++) _time.Advance(IdleCollection.Quiet);
    }
}
