using System.Text;

namespace Millau.Tests;

public class KeyedHashTests
{
    private readonly KeyedHash _hash = new();

    [Fact]
    public void The_same_bytes_have_the_same_hash_and_in_another_instance_another_one()
    {
        var bytes = Encoding.UTF8.GetBytes(new string('a', 1000));
        Assert.Equal(_hash.Of(bytes), _hash.Of([.. bytes]));
        Assert.NotEqual(_hash.Of(bytes), new KeyedHash().Of(bytes));
    }

    [Fact]
    public void Each_bit_counts_and_so_does_the_length_also_of_zeros()
    {
        var seen = new HashSet<UInt128>();
        for (var length = 0; length <= 33; length++)
        {
            var bytes = new byte[length];
            Assert.True(seen.Add(_hash.Of(bytes)), $"{length} zeros");
            for (var bit = 0; bit < length * 8; bit++)
            {
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
                Assert.True(seen.Add(_hash.Of(bytes)), $"bit {bit} of {length} bytes");
                bytes[bit / 8] = 0;
            }
            Array.Fill(bytes, byte.MaxValue);
            Assert.True(length == 0 || seen.Add(_hash.Of(bytes)), $"{length} times 255");
        }
    }

    [Fact]
    public void Bytes_that_change_places_are_other_bytes()
    {
        var texts = new[] { "aaaabbbbccccdddd", "bbbbaaaaccccdddd", "ccccddddaaaabbbb", "aaaaccccbbbbdddd", "ddddccccbbbbaaaa" };
        Assert.Distinct(texts.Select(t => _hash.Of(Encoding.ASCII.GetBytes(t))));
    }

    [Fact]
    public void Both_halves_are_used()
    {
        var hashes = Enumerable.Range(0, 1000).Select(i => _hash.Of(BitConverter.GetBytes(i))).ToList();
        Assert.Distinct(hashes.Select(h => (ulong)h));
        Assert.Distinct(hashes.Select(h => (ulong)(h >> 64)));
    }
}
