using Millau.Memory;
using Millau.Tests.Memory;
using Millau.Tests.Wire;

[assembly: AssemblyFixture(typeof(ReturnedBuffers))]

namespace Millau.Tests.Memory;

/// <summary>
/// When all tests are over and every proxy was stopped, all pooled buffers are back. What is not is named with the calls that rented
/// it, and fails the run.
/// </summary>
public sealed class ReturnedBuffers : IAsyncDisposable
{
    public async ValueTask DisposeAsync()
    {
        var ledger = BufferLedger.Shared;
        try
        {
            // Connections end on threads of their own.
            await Eventually.TrueAsync(() => ledger.Count == 0);
        }
        catch (Exception)
        {
            var places = ledger.Out.GroupBy(o => o).OrderByDescending(g => g.Count()).Select(g => $"{g.Count()} rented here:\n{g.Key}");
            Assert.Fail($"{ledger.Count} buffers were not returned\n{string.Join('\n', places)}");
        }
    }
}
