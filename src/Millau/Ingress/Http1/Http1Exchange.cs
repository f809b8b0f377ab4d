using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Millau.Http1;
using Millau.Transport;

namespace Millau.Ingress.Http1;

/// <summary>
/// One request of HTTP/1.1 after the other on a connection, and the answers, written straight into the connection's buffers: head
/// and body leave in one call to the kernel as far as they come together.
/// </summary>
internal sealed class Http1Exchange : Exchange
{
    // Content-Length with all its digits, Connection, Date and the empty line: 101.
    private const int MostEndBytes = 112;

    private readonly Http1Connection _owner;
    private readonly ConnectionContext _connection;
    private readonly PipeWriter _output;
    private readonly Http1Body _body;
    private bool _interim;
    private bool _dropped;
    private bool _hasDate;
    private bool _chunked;
    private bool _ended;
    private long _left;

    public Http1Exchange(Http1Connection owner, ConnectionContext connection, ClientPeer client) : base(client)
    {
        _owner = owner;
        _connection = connection;
        _output = connection.Transport.Output;
        _body = new Http1Body(owner, connection.Transport.Input);
    }

    /// <summary>The connection may carry another request after this one.</summary>
    public bool KeepsAlive { get; private set; }

    /// <summary>The client said that it sends no other request after this one.</summary>
    public bool IsLast { get; private set; }

    /// <summary>The body of the request, for the connection.</summary>
    public Http1Body RequestBody => _body;

    public override PipeReader Body => _body;

    public override bool TakesPlainBody => !_chunked;

    /// <summary>Takes over a parsed head, whose bytes the fields have.</summary>
    public void Begin(in RequestParser head, RequestFraming framing)
    {
        var bytes = Fields.Bytes;
        Method = MethodOf(bytes.Slice(head.MethodStart, head.MethodLength));
        var target = bytes.Slice(head.TargetStart, head.TargetLength);
        // Clients often ask for the same again.
        if (!Ascii.Equals(target, Target)) Target = Encoding.Latin1.GetString(target);
        Version = head.MinorVersion == 0 ? HttpVersion.Http10 : HttpVersion.Http11;
        Scheme = Client.Tls is null ? "http" : "https";
        ContentLength = framing.Length;
        HasBody = framing.HasBody;
        KeepsAlive = Version == HttpVersion.Http11
            ? !Fields.Lists(FieldName.Connection, "close"u8)
            : Fields.Lists(FieldName.Connection, "keep-alive"u8) && !Fields.Lists(FieldName.Connection, "close"u8);
        IsLast = !KeepsAlive;
        var expects = HasBody && Version == HttpVersion.Http11 && Fields.Has(FieldName.Expect)
            && Ascii.EqualsIgnoreCase(Fields.First(FieldName.Expect), "100-continue"u8);
        _body.Begin(framing, expects);
    }

    /// <summary>For an answer to what was no request.</summary>
    public void BeginRefused()
    {
        (Method, Target, Version) = ("", "", HttpVersion.Http11);
        KeepsAlive = false;
        _body.Begin(new RequestFraming(-1, false), expectsContinue: false);
    }

    public override void BeginHead(int status, ReadOnlySpan<byte> reason = default)
    {
        _interim = status is >= 100 and < 200 and not 101;
        _dropped = _interim && Version == HttpVersion.Http10;
        _hasDate = _interim;
        if (!_interim) Status = status;
        if (_dropped) return;
        if (StatusLines.IsUsual(status, reason))
        {
            Append(StatusLines.Of(status));
            return;
        }
        var line = _output.GetSpan(15 + reason.Length);
        "HTTP/1.1 "u8.CopyTo(line);
        Utf8Formatter.TryFormat(status, line[9..], out _);
        line[12] = (byte)' ';
        reason.CopyTo(line[13..]);
        "\r\n"u8.CopyTo(line[(13 + reason.Length)..]);
        _output.Advance(15 + reason.Length);
    }

    public override void Field(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (_dropped) return;
        var length = name.Length + value.Length + 4;
        var line = _output.GetSpan(length);
        name.CopyTo(line);
        line[name.Length] = (byte)':';
        line[name.Length + 1] = (byte)' ';
        value.CopyTo(line[(name.Length + 2)..]);
        line[length - 2] = (byte)'\r';
        line[length - 1] = (byte)'\n';
        _output.Advance(length);
        if (name.Length == 4 && !_hasDate) _hasDate = FieldNames.Of(name) == FieldName.Date;
    }

    public override void Copy(ReadOnlySpan<byte> head, ReadOnlySpan<Field> fields)
    {
        if (_dropped) return;
        foreach (ref readonly var field in fields) _hasDate |= field.Known == FieldName.Date;
        while (!fields.IsEmpty)
        {
            var lines = Millau.Http1.Field.TakeLines(head, ref fields);
            if (!lines.IsEmpty) Append(lines);
            if (fields.IsEmpty) return;
            Field(fields[0].Name(head), fields[0].Value(head));
            fields = fields[1..];
        }
    }

    public override void EndHead(long length, bool hasBody, bool trailers = false)
    {
        if (_dropped) return;
        var place = _output.GetSpan(MostEndBytes);
        var end = 0;
        if (!_interim)
        {
            if (Status == 101)
            {
                Put("Connection: Upgrade\r\n"u8, place, ref end);
                KeepsAlive = false;
            }
            else
            {
                EndFinalHead(length, hasBody, place, ref end);
            }
            // RFC 9110 section 6.6.1: who has a clock says when it was, if the instance does not.
            if (!_hasDate)
            {
                Put("Date: "u8, place, ref end);
                Put(_owner.Date, place, ref end);
                Put("\r\n"u8, place, ref end);
            }
        }
        Put("\r\n"u8, place, ref end);
        _output.Advance(end);
    }

    private void EndFinalHead(long length, bool hasBody, Span<byte> place, ref int end)
    {
        if (length >= 0)
        {
            Put("Content-Length: "u8, place, ref end);
            Utf8Formatter.TryFormat(length, place[end..], out var written);
            end += written;
            Put("\r\n"u8, place, ref end);
            _left = hasBody ? length : 0;
        }
        else if (hasBody && Version == HttpVersion.Http11)
        {
            Put("Transfer-Encoding: chunked\r\n"u8, place, ref end);
            _chunked = true;
        }
        else if (hasBody)
        {
            // It ends with the connection.
            KeepsAlive = false;
            _left = long.MaxValue;
        }
        // A client that still waits to be asked for its body may send it or not: what comes next is in doubt.
        KeepsAlive &= !_owner.IsClosing && !_body.IsWaitedFor;
        if (!KeepsAlive) Put("Connection: close\r\n"u8, place, ref end);
        else if (Version == HttpVersion.Http10) Put("Connection: keep-alive\r\n"u8, place, ref end);
    }

    private static void Put(ReadOnlySpan<byte> bytes, Span<byte> place, ref int end)
    {
        bytes.CopyTo(place[end..]);
        end += bytes.Length;
    }

    public override Memory<byte> GetMemory(int atLeast) => _output.GetMemory(atLeast);

    public override void Advance(int count)
    {
        _left -= count;
        _output.Advance(count);
    }

    public override void Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return;
        if (!_chunked)
        {
            _left -= bytes.Length;
            _output.Write(bytes);
            return;
        }
        var size = _output.GetSpan(18);
        Utf8Formatter.TryFormat(bytes.Length, size, out var digits, 'x');
        size[digits] = (byte)'\r';
        size[digits + 1] = (byte)'\n';
        _output.Advance(digits + 2);
        _output.Write(bytes);
        Append("\r\n"u8);
    }

    public override ValueTask<bool> FlushAsync() => _owner.FlushAsync();

    public override async ValueTask ContinueAsync()
    {
        if (!_body.TakeContinue() || HasStarted) return;
        Append("HTTP/1.1 100 Continue\r\n\r\n"u8);
        await FlushAsync().ConfigureAwait(false);
    }

    public override LoopSocket? PlainSocket => _chunked ? null : (_connection.Transport as LoopConnection)?.RawSocket;

    public override void Spliced(long bytes) => _left -= bytes;

    public override void EndBody(List<(string Name, string Value)>? trailers)
    {
        if (!_chunked || _ended) return;
        _ended = true;
        if (trailers is null)
        {
            Append("0\r\n\r\n"u8);
            return;
        }
        Append("0\r\n"u8);
        foreach (var (name, value) in trailers) Encoding.Latin1.GetBytes($"{name}: {value}\r\n", _output);
        Append("\r\n"u8);
    }

    public override void AcceptTunnel()
    {
        _chunked = false;
        _left = long.MaxValue;
        _ended = true;
        _body.BecomeTunnel();
        _connection.Features.Get<LoopConnection>()?.AllowHalfClose();
    }

    public override void CloseAfterAnswer() => KeepsAlive = false;

    public override void AskToLeave() => KeepsAlive = false;

    public override void Abort() => _connection.Abort(new ConnectionAbortedException("The answer broke off."));

    /// <summary>The answer is as long as its head said.</summary>
    public bool IsWhole => HasStarted && (_left == 0 || _left > long.MaxValue / 2);

    /// <summary>Ready for the next request. Idempotent.</summary>
    public void End()
    {
        _body.Release();
        _ended = _chunked = false;
        _left = 0;
        Reset();
    }

    // Trailers of chunks are known when the body was read.
    public override List<(string Name, string Value)>? Trailers => _body.Trailers;

    private void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_output.GetSpan(bytes.Length));
        _output.Advance(bytes.Length);
    }

    private string MethodOf(ReadOnlySpan<byte> bytes) => bytes switch
    {
        _ when bytes.SequenceEqual("GET"u8) => "GET",
        _ when bytes.SequenceEqual("POST"u8) => "POST",
        _ when bytes.SequenceEqual("HEAD"u8) => "HEAD",
        _ when bytes.SequenceEqual("PUT"u8) => "PUT",
        _ when bytes.SequenceEqual("DELETE"u8) => "DELETE",
        _ when bytes.SequenceEqual("OPTIONS"u8) => "OPTIONS",
        _ when bytes.SequenceEqual("PATCH"u8) => "PATCH",
        _ => Encoding.Latin1.GetString(bytes),
    };
}
