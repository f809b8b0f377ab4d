using System.Buffers;
using System.Buffers.Text;
using System.Text;
using Millau.Memory;

namespace Millau.Http1;

/// <summary>
/// The one serializer of request heads (RFC 9112 sections 2 to 5): whatever does not fit the grammar is refused, so
/// nothing that a client sends can become a second request or another header. Owns a pooled buffer from the first
/// write until <see cref="Release"/>.
/// </summary>
internal sealed class RequestWriter
{
    private static readonly BufferPool Buffers = HeadArrays.Pool;

    private byte[]? _buffer;
    private int _length;
    private Range _optional;

    /// <summary>What was written is a valid head so far. Once false, nothing of it may be sent.</summary>
    public bool IsValid { get; private set; } = true;

    /// <summary>The bytes written; hold until <see cref="Release"/>.</summary>
    public ReadOnlyMemory<byte> Written => _buffer.AsMemory(0, _length);

    /// <summary>Bytes written.</summary>
    public int Length => _length;

    /// <summary>What was written, less the optional field.</summary>
    public ArraySegment<byte>[] WrittenWithoutOptional
    {
        get
        {
            var all = new ArraySegment<byte>(_buffer!, 0, _length);
            return [all[.._optional.Start], all[_optional.End..]];
        }
    }

    /// <summary>Starts a new head with its request line.</summary>
    public void Start(ReadOnlySpan<char> method, ReadOnlySpan<char> target)
    {
        _length = 0;
        IsValid = HttpChars.IsToken(method) && HttpChars.IsTarget(target);
        if (!IsValid) return;
        var version = " HTTP/1.1\r\n"u8;
        var length = method.Length + 1 + target.Length + version.Length;
        var place = Reserve(length);
        Encoding.Latin1.GetBytes(method, place);
        place[method.Length] = (byte)' ';
        Encoding.Latin1.GetBytes(target, place[(method.Length + 1)..]);
        version.CopyTo(place[(length - version.Length)..]);
        _length += length;
    }

    /// <summary>
    /// Writes fields of a client's head that was parsed, one behind the other there. Plain ones are copied as they stand: that they fit
    /// the grammar the parser has found out.
    /// </summary>
    public void Copy(ReadOnlySpan<byte> head, ReadOnlySpan<Field> fields)
    {
        while (!fields.IsEmpty)
        {
            Append(Http1.Field.TakeLines(head, ref fields));
            if (fields.IsEmpty) return;
            Field(fields[0].Name(head), fields[0].Value(head));
            fields = fields[1..];
        }
    }

    /// <summary>Writes a field that came from a client.</summary>
    public void Field(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (!HttpChars.IsToken(name) || !HttpChars.IsFieldValue(value))
        {
            IsValid = false;
            return;
        }
        var place = Reserve(name.Length + value.Length + 4);
        name.CopyTo(place);
        place[name.Length] = (byte)':';
        place[name.Length + 1] = (byte)' ';
        value.CopyTo(place[(name.Length + 2)..]);
        place[name.Length + 2 + value.Length] = (byte)'\r';
        place[name.Length + 3 + value.Length] = (byte)'\n';
        _length += name.Length + value.Length + 4;
    }

    /// <inheritdoc cref="Field(ReadOnlySpan{byte}, ReadOnlySpan{byte})"/>
    public void Field(ReadOnlySpan<char> name, ReadOnlySpan<char> value)
    {
        if (!HttpChars.IsToken(name) || !HttpChars.IsFieldValue(value))
        {
            IsValid = false;
            return;
        }
        Append(name);
        Append(": "u8);
        Append(value);
        Append("\r\n"u8);
    }

    /// <summary>Writes a field of Millau's own with a value from outside.</summary>
    /// <param name="prefix">Name, colon and space.</param>
    public void Field(ReadOnlySpan<byte> prefix, ReadOnlySpan<char> value)
    {
        if (!HttpChars.IsFieldValue(value))
        {
            IsValid = false;
            return;
        }
        var length = prefix.Length + value.Length + 2;
        var place = Reserve(length);
        prefix.CopyTo(place);
        Encoding.Latin1.GetBytes(value, place[prefix.Length..]);
        place[length - 2] = (byte)'\r';
        place[length - 1] = (byte)'\n';
        _length += length;
    }

    /// <summary>Writes a field that does not go to every instance. One at most.</summary>
    /// <param name="prefix">Name, colon and space.</param>
    public void Optional(ReadOnlySpan<byte> prefix, ReadOnlySpan<char> value)
    {
        var start = _length;
        Field(prefix, value);
        _optional = start.._length;
    }

    /// <summary>Writes bytes that are known to be right, line end included.</summary>
    public void Raw(ReadOnlySpan<byte> bytes) => Append(bytes);

    /// <summary>Puts other bytes, as many, in the place of some that were written. Nobody may be sending them.</summary>
    public void Overwrite(int place, ReadOnlySpan<byte> bytes) => bytes.CopyTo(_buffer.AsSpan(place, bytes.Length));

    public void ContentLength(long length)
    {
        Append("Content-Length: "u8);
        Utf8Formatter.TryFormat(length, Reserve(20), out var written);
        _length += written;
        Append("\r\n"u8);
    }

    /// <summary>Ends the head.</summary>
    public void End() => Append("\r\n"u8);

    /// <summary>Puts the first bytes of the body behind the head, to be sent with it.</summary>
    public void Body(ReadOnlySequence<byte> bytes)
    {
        var length = (int)bytes.Length;
        bytes.CopyTo(Reserve(length));
        _length += length;
    }

    /// <summary>Gives the buffer back; the next <see cref="Start"/> takes a new one.</summary>
    public void Release()
    {
        if (_buffer is null) return;
        Buffers.Return(_buffer);
        _buffer = null;
        _length = 0;
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Reserve(bytes.Length));
        _length += bytes.Length;
    }

    // Field values and names are checked to fit a byte each, so this loses nothing.
    private void Append(ReadOnlySpan<char> text) =>
        _length += Encoding.Latin1.GetBytes(text, Reserve(text.Length));

    private Span<byte> Reserve(int length)
    {
        if (_buffer is null) _buffer = Buffers.Rent(Math.Max(length, HeadArrays.UsualLength));
        else if (_buffer.Length - _length < length) Grow(length);
        return _buffer.AsSpan(_length);
    }

    private void Grow(int length)
    {
        var larger = Buffers.Rent(Math.Max(_buffer!.Length * 2, _length + length));
        _buffer.AsSpan(0, _length).CopyTo(larger);
        Buffers.Return(_buffer);
        _buffer = larger;
    }
}
