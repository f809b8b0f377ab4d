using System.Runtime.InteropServices;

namespace Millau.Http1;

/// <summary>
/// Takes the framing off a chunked body (RFC 9112 section 7.1). Extensions are read over: they mean nothing past this
/// hop. Trailers are kept. Pure: it is given bytes and says which of them are data.
/// </summary>
internal struct ChunkedDecoder
{
    // Fifteen hex digits cannot overflow a long.
    private const int MaxSizeDigits = 15;

    /// <summary>Longest chunk-size line, with its extensions, and longest trailer section, in bytes.</summary>
    public const int MaxOverhead = 8 * 1024;

    private State _state;
    private long _left;
    private int _digits;
    private int _overhead;
    private bool _lineEmpty;
    private List<byte>? _trailers;

    private enum State : byte
    {
        Size, Extension, SizeLineFeed, Data, DataCarriageReturn, DataLineFeed, Trailer, TrailerLineFeed, Done,
    }

    /// <summary>The last chunk and the trailers have been read.</summary>
    public readonly bool IsDone => _state == State.Done;

    /// <summary>The lines of the trailer section so far, each with its LF alone, as <see cref="Http1.Trailers"/> reads them.</summary>
    public readonly ReadOnlySpan<byte> Trailers => CollectionsMarshal.AsSpan(_trailers);

    /// <summary>
    /// Reads over framing up to the next data. Call until <paramref name="consumed"/> is all of the input or the
    /// body is done.
    /// </summary>
    /// <param name="input">The next bytes of the connection.</param>
    /// <param name="consumed">Bytes that are done with, framing and data.</param>
    /// <param name="dataLength">How many of these, at their end, are data.</param>
    /// <returns>Whether the bytes are a chunked body; after false the decoder is of no use.</returns>
    public bool TryRead(ReadOnlySpan<byte> input, out int consumed, out int dataLength)
    {
        dataLength = 0;
        for (consumed = 0; consumed < input.Length && _state != State.Done;)
        {
            if (_state == State.Data)
            {
                dataLength = (int)Math.Min(_left, input.Length - consumed);
                consumed += dataLength;
                _left -= dataLength;
                if (_left == 0) _state = State.DataCarriageReturn;
                return true;
            }
            if (!Step(input[consumed++])) return false;
        }
        return true;
    }

    private bool Step(byte value)
    {
        switch (_state)
        {
            case State.Size:
                var digit = HexDigit(value);
                if (digit >= 0)
                {
                    _left = _left * 16 + digit;
                    return ++_digits <= MaxSizeDigits;
                }
                if (_digits == 0) return false;
                if (value == '\r') _state = State.SizeLineFeed;
                // Some servers pad the size with blanks (RFC 9112 section 7.1.1 allows them before an extension).
                else if (value is (byte)';' or (byte)' ' or (byte)'\t') _state = State.Extension;
                else return false;
                return true;
            case State.Extension:
                if (value == '\r') _state = State.SizeLineFeed;
                else if (value == '\n') return false;
                return ++_overhead <= MaxOverhead;
            case State.SizeLineFeed:
                if (value != '\n') return false;
                _state = _left == 0 ? State.Trailer : State.Data;
                _digits = 0;
                _overhead = 0;
                _lineEmpty = true;
                return true;
            case State.DataCarriageReturn:
                _state = State.DataLineFeed;
                return value == '\r';
            case State.DataLineFeed:
                _state = State.Size;
                return value == '\n';
            case State.Trailer:
                if (value == '\r') _state = State.TrailerLineFeed;
                else if (value == '\n') return false;
                else Keep(value);
                return ++_overhead <= MaxOverhead;
            case State.TrailerLineFeed:
                if (value != '\n') return false;
                _state = _lineEmpty ? State.Done : State.Trailer;
                if (!_lineEmpty) Keep(value);
                _lineEmpty = true;
                return true;
            default:
                return false;
        }
    }

    private void Keep(byte value)
    {
        _lineEmpty = false;
        (_trailers ??= []).Add(value);
    }

    private static int HexDigit(byte value) => value switch
    {
        >= (byte)'0' and <= (byte)'9' => value - '0',
        >= (byte)'a' and <= (byte)'f' => value - 'a' + 10,
        >= (byte)'A' and <= (byte)'F' => value - 'A' + 10,
        _ => -1,
    };
}
