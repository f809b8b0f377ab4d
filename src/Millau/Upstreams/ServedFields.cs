using System.Text;
using Millau.Http1;

namespace Millau.Upstreams;

/// <summary>The fields of an answer that tell who gave it. The same for all answers of an instance, so they are made once.</summary>
internal sealed class ServedFields
{
    private readonly byte[] _bytes;
    private readonly Field[] _fields;

    /// <param name="servedBy">Millau's host name.</param>
    /// <param name="instance">The name of the instance.</param>
    public ServedFields(string servedBy, string instance)
    {
        _bytes = Encoding.Latin1.GetBytes($"Via: 1.1 millau\r\nX-Served-By: {servedBy}\r\nX-Backend-Server: {instance}\r\n");
        var fields = new List<Field>();
        int length;
        for (var start = 0; (length = FieldLine.TryRead(_bytes.AsSpan(start), start, out var field)) > 0; start += length) fields.Add(field);
        _fields = [.. fields];
    }

    /// <summary>As lines.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>Places in <see cref="Bytes"/>.</summary>
    public ReadOnlySpan<Field> Fields => _fields;
}
