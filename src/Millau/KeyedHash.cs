using System.Buffers.Binary;

namespace Millau;

/// <summary>
/// Tells byte strings apart by 122 bits, also such as somebody chose to be taken for one another: the bytes are the coefficients of a
/// polynomial, and the hash is its values, modulo the prime 2^61 - 1, at two points drawn at random. Two polynomials of degree n agree
/// in at most n of all points, so without these points, which nobody may learn, two strings of a kilobyte have the same hash once
/// in 2^105. As quick as SHA-256 where the processor has that, and without OpenSSL. Immutable; any thread.
/// </summary>
internal sealed class KeyedHash
{
    private const ulong Prime = (1UL << 61) - 1;

    private readonly ulong _a = Draw(), _b = Draw();
    private readonly ulong _aSquared, _bSquared;

    public KeyedHash()
    {
        _aSquared = Reduce(Math.BigMul(_a, _a));
        _bSquared = Reduce(Math.BigMul(_b, _b));
    }

    /// <summary>
    /// Another one in each instance. From hashes and what they are of the points can be found out: where hashes are shown to somebody,
    /// the instance is for nothing else.
    /// </summary>
    public UInt128 Of(ReadOnlySpan<byte> bytes)
    {
        // The length first, so that zeros at the end count.
        ulong a = (uint)bytes.Length, b = (uint)bytes.Length;
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..]) Add(BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        Span<byte> last = stackalloc byte[sizeof(ulong)];
        last.Clear();
        bytes.CopyTo(last);
        Add(BinaryPrimitives.ReadUInt64LittleEndian(last));
        return new UInt128(a, b);

        // Two coefficients of 32 bits at once.
        void Add(ulong word)
        {
            a = Reduce(Math.BigMul(a, _aSquared) + Math.BigMul(word >> 32, _a) + (uint)word);
            b = Reduce(Math.BigMul(b, _bSquared) + Math.BigMul(word >> 32, _b) + (uint)word);
        }
    }

    // Below 2^61 + 4, which is enough, and the same each time.
    private static ulong Reduce(UInt128 value)
    {
        var sum = (ulong)(value & Prime) + (ulong)(value >> 61);
        return (sum & Prime) + (sum >> 61);
    }

    // A new GUID is of the kernel's generator for secrets, but for six bits, which are not in the same place in both halves.
    private static ulong Draw()
    {
        Span<byte> bytes = stackalloc byte[16];
        Guid.NewGuid().TryWriteBytes(bytes);
        return (BinaryPrimitives.ReadUInt64LittleEndian(bytes) ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes[sizeof(ulong)..])) & Prime;
    }
}
