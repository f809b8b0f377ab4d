using System.Buffers;
using System.Text;
using System.Text.Unicode;
using Millau.Http1;
using Millau.Forwarding;
using Millau.Ingress;
using Millau.Logging;

namespace Millau.Telemetry.Access;

/// <summary>
/// Composes the line of one request after the other in the same memory. Whatever a client sent stays within its quotes. Not
/// for use by two threads at once.
/// </summary>
internal sealed class AccessLine
{
    /// <summary>What nginx says of a client that went before it was answered; no status of HTTP.</summary>
    public const int ClientGoneStatus = 499;

    // What Apache and nginx leave as it is between quotes: visible ASCII less the quote and the escape.
    private static readonly SearchValues<char> Quotable = SearchValues.Create(
        " !#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~");

    private readonly LineBuffer _line = new();
    private readonly byte[] _date = new byte[32];
    private int _dateLength;
    private long _dateSecond = -1;

    /// <summary>Composes a line; valid until the next one.</summary>
    public ReadOnlySpan<byte> Compose(AccessLogFormat format, RequestContext context, TimeProvider time)
    {
        _line.Begin();
        if (format == AccessLogFormat.Json) ComposeJson(context, time);
        else ComposeText(context, time, withAgent: format == AccessLogFormat.Combined);
        return _line.End();
    }

    private void ComposeText(RequestContext context, TimeProvider time, bool withAgent)
    {
        var outcome = context.Outcome;
        var request = context.Exchange;
        Word(context.ClientAddress);
        _line.Raw(" - - ["u8);
        Date(time.GetUtcNow());
        _line.Raw("] \""u8);
        Escaped(request.Method);
        _line.Raw(" "u8);
        Escaped(request.Target);
        _line.Raw(" "u8);
        Escaped(request.Protocol);
        _line.Raw("\" "u8);
        _line.Value(Status(outcome));
        _line.Raw(" "u8);
        _line.Value(outcome.ResponseBytes);
        if (withAgent)
        {
            _line.Raw(" \""u8);
            Escaped(request.Fields.First(FieldName.Referer));
            _line.Raw("\" \""u8);
            Escaped(request.Fields.First(FieldName.UserAgent));
            _line.Raw("\""u8);
        }
        _line.Raw(" host="u8);
        Word(context.Host);
        _line.Raw(" service="u8);
        Word(outcome.Service?.Name);
        _line.Raw(" instance="u8);
        Word(outcome.Instance?.Name);
        _line.Raw(" attempts="u8);
        _line.Value(outcome.Attempts);
        _line.Raw(" upstream_time="u8);
        if (outcome.IsAnswered) Seconds(time.GetElapsedTime(context.AttemptStarted, outcome.Answered));
        else _line.Raw("-"u8);
        _line.Raw(" parked="u8);
        Seconds(outcome.Waited);
        _line.Raw(" duration="u8);
        Seconds(time.GetElapsedTime(outcome.Started, outcome.Ended));
        _line.Raw(" outcome="u8);
        _line.Raw(AccessOutcome.Name(outcome));
    }

    private void ComposeJson(RequestContext context, TimeProvider time)
    {
        var outcome = context.Outcome;
        var request = context.Exchange;
        _line.Raw("{\"time\":\""u8);
        _line.Date(time.GetUtcNow());
        _line.Raw("\",\"client\":"u8);
        Json(context.ClientAddress);
        _line.Raw(",\"port\":"u8);
        Json(outcome.Listener.Port);
        _line.Raw(",\"scheme\":"u8);
        Json(request.Scheme);
        _line.Raw(",\"protocol\":"u8);
        Json(request.Protocol);
        _line.Raw(",\"method\":"u8);
        Json(request.Method);
        _line.Raw(",\"host\":"u8);
        Json(context.Host);
        Target(request.Target, context.Target.Sent.Span);
        _line.Raw(",\"status\":"u8);
        _line.Value(Status(outcome));
        _line.Raw(",\"outcome\":\""u8);
        _line.Raw(AccessOutcome.Name(outcome));
        _line.Raw("\",\"request_bytes\":"u8);
        _line.Value(outcome.RequestBytes);
        _line.Raw(",\"response_bytes\":"u8);
        _line.Value(outcome.ResponseBytes);
        Optional(",\"referer\":"u8, request.Fields.First(FieldName.Referer));
        Optional(",\"user_agent\":"u8, request.Fields.First(FieldName.UserAgent));
        Optional(",\"service\":"u8, outcome.Service?.Name);
        Optional(",\"instance\":"u8, outcome.Instance?.Name);
        _line.Raw(",\"attempts\":"u8);
        _line.Value(outcome.Attempts);
        if (outcome.IsAnswered)
        {
            _line.Raw(",\"upstream_time\":"u8);
            Seconds(time.GetElapsedTime(context.AttemptStarted, outcome.Answered));
        }
        _line.Raw(",\"parked\":"u8);
        Seconds(outcome.Waited);
        _line.Raw(",\"duration\":"u8);
        Seconds(time.GetElapsedTime(outcome.Started, outcome.Ended));
        if (context.Client.Tls is { } tls)
        {
            Optional(",\"tls_version\":"u8, TlsVersion(tls));
            Optional(",\"tls_server_name\":"u8, tls.ServerName);
        }
        _line.Raw("}"u8);
    }

    // As the client wrote it, and in two parts as an instance gets it: dot segments resolved.
    private void Target(ReadOnlySpan<char> raw, ReadOnlySpan<char> sent)
    {
        _line.Raw(",\"target\":"u8);
        Json(raw);
        // Nothing is sent of a request that is refused.
        if (sent.IsEmpty) return;
        var mark = sent.IndexOf('?');
        _line.Raw(",\"path\":"u8);
        Json(mark < 0 ? sent : sent[..mark]);
        if (mark < 0) return;
        _line.Raw(",\"query\":"u8);
        Json(sent[(mark + 1)..]);
    }

    private void Optional(ReadOnlySpan<byte> name, string? value)
    {
        if (string.IsNullOrEmpty(value)) return;
        _line.Raw(name);
        Json(value);
    }

    private void Optional(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (value.IsEmpty) return;
        _line.Raw(name);
        var chars = ArrayPool<char>.Shared.Rent(value.Length);
        Json(chars.AsSpan(0, Encoding.Latin1.GetChars(value, chars)));
        ArrayPool<char>.Shared.Return(chars);
    }

    private static int Status(RequestOutcome outcome) => outcome.Status == 0 ? ClientGoneStatus : outcome.Status;

    private static string? TlsVersion(TlsDetails tls) => tls.Version switch
    {
        System.Security.Authentication.SslProtocols.Tls12 => "TLSv1.2",
        System.Security.Authentication.SslProtocols.Tls13 => "TLSv1.3",
        _ => null,
    };

    // As Apache and nginx have it, in UTC: 23/Nov/2026:15:04:05 +0000. The same for all lines of a second.
    private void Date(DateTimeOffset now)
    {
        var second = now.UtcTicks / TimeSpan.TicksPerSecond;
        if (second != _dateSecond)
        {
            now.UtcDateTime.TryFormat(_date, out _dateLength, "dd/MMM/yyyy:HH:mm:ss '+0000'", System.Globalization.CultureInfo.InvariantCulture);
            _dateSecond = second;
        }
        _line.Raw(_date.AsSpan(0, _dateLength));
    }

    // With six decimals.
    private void Seconds(TimeSpan time)
    {
        var microseconds = Math.Max(0, time.Ticks / TimeSpan.TicksPerMicrosecond);
        _line.Value(microseconds / 1_000_000);
        _line.Raw("."u8);
        _line.Value(microseconds % 1_000_000, "D6");
    }

    // A value without quotes: a space would end it.
    private void Word(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty) _line.Raw("-"u8);
        else Escaped(text, spaces: true);
    }

    // As nginx: \xHH for whatever is not visible ASCII, the quote and the escape.
    private void Escaped(ReadOnlySpan<char> text, bool spaces = false)
    {
        if (text.IsEmpty) _line.Raw("-"u8);
        while (!text.IsEmpty)
        {
            var plain = text.IndexOfAnyExcept(Quotable);
            if (spaces && text.IndexOf(' ') is >= 0 and var space && (plain < 0 || space < plain)) plain = space;
            _line.Ascii(plain < 0 ? text : text[..plain]);
            if (plain < 0) return;
            EscapeByte(text[plain]);
            text = text[(plain + 1)..];
        }
    }

    private void Escaped(ReadOnlySpan<byte> bytes)
    {
        var chars = ArrayPool<char>.Shared.Rent(bytes.Length);
        Escaped(chars.AsSpan(0, Encoding.Latin1.GetChars(bytes, chars)));
        ArrayPool<char>.Shared.Return(chars);
    }

    // Header fields come as one character a byte (Latin-1).
    private void EscapeByte(char c)
    {
        _line.Raw("\\x"u8);
        _line.Value(c <= '\xFF' ? (byte)c : (byte)'?', "X2");
    }

    // Bytes that are UTF-8 are told as the text they are; others as Latin-1.
    private void Json(ReadOnlySpan<char> text)
    {
        if (Ascii.IsValid(text) || text.ContainsAnyExceptInRange('\0', '\xFF'))
        {
            _line.Json(text);
            return;
        }
        var bytes = ArrayPool<byte>.Shared.Rent(text.Length);
        var chars = ArrayPool<char>.Shared.Rent(text.Length);
        var length = Encoding.Latin1.GetBytes(text, bytes);
        if (Utf8.IsValid(bytes.AsSpan(0, length))) _line.Json(chars.AsSpan(0, Encoding.UTF8.GetChars(bytes.AsSpan(0, length), chars)));
        else _line.Json(text);
        ArrayPool<char>.Shared.Return(chars);
        ArrayPool<byte>.Shared.Return(bytes);
    }
}
