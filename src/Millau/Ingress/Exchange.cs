using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Millau.Http1;
using Millau.Transport;

namespace Millau.Ingress;

/// <summary>
/// One request of a client and the answer to it, in whichever version of HTTP the client speaks. The same object serves the next
/// request when this one is over.
/// </summary>
/// <remarks>
/// The order of an answer: any number of interim heads, one final head, the body, its end. A head is
/// <see cref="BeginHead"/>, its fields, <see cref="EndHead"/>; the body is <see cref="Write"/> (or <see cref="GetMemory"/> and
/// <see cref="Advance"/>) and <see cref="FlushAsync"/>. What is not flushed when the handler returns is flushed by the connection,
/// which also ends the body.
/// Concurrency: one user at a time, but the body of the request may be read beside the writing of the answer;
/// <see cref="Abort"/> is called by any thread.
/// </remarks>
internal abstract class Exchange(ClientPeer client)
{
    private readonly Lock _lock = new();
    private Action? _goneAction;
    private bool _gone;
    private LoopTurn? _turn;

    /// <summary>Whose request it is.</summary>
    public ClientPeer Client { get; } = client;

    /// <summary>What the handler wants to keep with the exchange from request to request.</summary>
    public object? State { get; set; }

    /// <summary>As the client wrote it.</summary>
    public string Method { get; protected set; } = "";

    /// <summary>The request target as the client wrote it, one character a byte (HTTP/2: <c>:path</c>).</summary>
    public string Target { get; protected set; } = "";

    public HttpVersion Version { get; protected set; }

    /// <summary>The same in words, as <c>HTTP/1.1</c>; HTTP/2 is <c>HTTP/2</c>.</summary>
    public string Protocol => Version switch
    {
        HttpVersion.Http10 => "HTTP/1.0",
        HttpVersion.Http11 => "HTTP/1.1",
        _ => "HTTP/2",
    };

    /// <summary><c>http</c> or <c>https</c>: of the connection, or as a trusted proxy says.</summary>
    public string Scheme { get; set; } = "http";

    /// <summary>The header fields of the request; of HTTP/2 the authority as <c>Host</c>.</summary>
    public RequestFields Fields { get; } = new();

    /// <summary>Length of the request's body in bytes; -1 if it is not known beforehand, or there is none.</summary>
    public long ContentLength { get; protected set; } = -1;

    /// <summary>The request has a body that may not be empty.</summary>
    public bool HasBody { get; protected set; }

    /// <summary>The <c>:protocol</c> of an extended CONNECT (RFC 8441 section 4); else null.</summary>
    public string? ConnectProtocol { get; protected set; }

    /// <summary>
    /// Asks a client that waits for it to send the body (RFC 9110 section 10.1.1); to be called before the body is read, by who
    /// writes the answer. Nothing where nobody waits.
    /// </summary>
    public virtual ValueTask ContinueAsync() => default;

    /// <summary>
    /// The request's body without its framing, or after <see cref="AcceptTunnel"/> all that the client sends. Reading it throws
    /// <see cref="Microsoft.AspNetCore.Http.BadHttpRequestException"/> if it is broken or too slow, and
    /// <see cref="IOException"/> if the connection is.
    /// </summary>
    public abstract PipeReader Body { get; }

    /// <summary>The trailer fields of the request that may pass, once the body was read to its end; null for none.</summary>
    public abstract List<(string Name, string Value)>? Trailers { get; }

    /// <summary>The status of the final head; 0 before there is one.</summary>
    public int Status { get; protected set; }

    /// <summary>The final head is written: there is no other answer any more.</summary>
    public bool HasStarted => Status != 0;

    /// <summary>The body of the answer can be received straight into the memory that <see cref="GetMemory"/> gives: it needs no framing.</summary>
    public abstract bool TakesPlainBody { get; }

    /// <summary>
    /// Begins a head: interim (100 to 199, but not 101) or final. An interim one to a client of HTTP/1.0 is dropped.
    /// </summary>
    /// <param name="status">100 to 999.</param>
    /// <param name="reason">The phrase of an HTTP/1.1 instance; empty for the usual one.</param>
    public abstract void BeginHead(int status, ReadOnlySpan<byte> reason = default);

    /// <summary>Adds a field that is checked, and none of framing or connection: those are the connection's own business.</summary>
    public abstract void Field(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value);

    /// <summary>The same with a value of one byte a character.</summary>
    public void Field(ReadOnlySpan<byte> name, string value)
    {
        Span<byte> bytes = value.Length <= 256 ? stackalloc byte[value.Length] : new byte[value.Length];
        Field(name, bytes[..Encoding.Latin1.GetBytes(value, bytes)]);
    }

    /// <summary>The same for fields that stand one behind the other in a head of HTTP/1 that was parsed.</summary>
    public virtual void Copy(ReadOnlySpan<byte> head, ReadOnlySpan<Field> fields)
    {
        foreach (ref readonly var field in fields) Field(field.Name(head), field.Value(head));
    }

    /// <summary>Ends the head.</summary>
    /// <param name="length">Bytes of the body, which may be stated also where there is none as for HEAD; -1 if not known.</param>
    /// <param name="hasBody">A body follows.</param>
    /// <param name="trailers">The body may have trailers; a client of HTTP/1.1 then gets it in chunks.</param>
    public abstract void EndHead(long length, bool hasBody, bool trailers = false);

    /// <summary>Where the next bytes of the body may be put; only if <see cref="TakesPlainBody"/>.</summary>
    public abstract Memory<byte> GetMemory(int atLeast);

    /// <summary>So many bytes were put there.</summary>
    public abstract void Advance(int count);

    /// <summary>Adds a copy of bytes to the body.</summary>
    public abstract void Write(ReadOnlySpan<byte> bytes);

    /// <summary>Sends what was written; waits while the client does not take it. False when the client is gone.</summary>
    public abstract ValueTask<bool> FlushAsync();

    /// <summary>
    /// The client's socket, if the rest of the body may be spliced to it: all that was written must be flushed before. Null where there
    /// is TLS, framing, or no event loop.
    /// </summary>
    public virtual LoopSocket? PlainSocket => null;

    /// <summary>So many bytes of the body went there.</summary>
    public virtual void Spliced(long bytes)
    {
    }

    /// <summary>Ends the body, with trailers if its head said that there may be some.</summary>
    public abstract void EndBody(List<(string Name, string Value)>? trailers);

    /// <summary>
    /// After a final head of 101 (HTTP/2: 200 to an extended CONNECT): from now on <see cref="Body"/> is what the client sends, and
    /// what is written goes out as it is. A client that ends its side is not gone: it may wait for the other's end.
    /// </summary>
    public abstract void AcceptTunnel();

    /// <summary>Closes the connection after this answer, for what follows on it is in doubt. On HTTP/2 no other request is concerned.</summary>
    public abstract void CloseAfterAnswer();

    /// <summary>Asks the client to send its next requests elsewhere: with <c>Connection: close</c>, or GOAWAY.</summary>
    public abstract void AskToLeave();

    /// <summary>Cuts the client's connection (HTTP/2: its stream), so that half an answer does not look like a whole.</summary>
    public abstract void Abort();

    /// <summary>The client has gone, or its stream: nobody reads an answer.</summary>
    public bool IsGone => Volatile.Read(ref _gone);

    /// <summary>
    /// Has an action called when the client goes, at once if it has gone; for this request and all that the object serves after it. Called
    /// by any thread, when <see cref="IsGone"/> says so already; it must not block.
    /// </summary>
    public void OnGone(Action action)
    {
        lock (_lock)
        {
            _goneAction = action;
            if (!_gone) return;
        }
        action();
    }

    /// <summary>For the connection: the client has gone.</summary>
    public void SayGone()
    {
        Action? action;
        lock (_lock)
        {
            if (_gone) return;
            _gone = true;
            action = _goneAction;
        }
        action?.Invoke();
    }

    /// <summary>So many bytes of the answer were moved without a wait: others of the loop get their turn now and then. To be awaited at once.</summary>
    public ValueTask Moved(int bytes) => Client.Loop is { } loop ? (_turn ??= new LoopTurn()).Moved(loop, bytes) : default;

    /// <summary>Ready for the next request.</summary>
    protected void Reset()
    {
        Fields.Release();
        ConnectProtocol = null;
        ContentLength = -1;
        HasBody = false;
        Status = 0;
    }

    /// <summary>A stream's object serves another stream.</summary>
    protected void Revive()
    {
        lock (_lock) _gone = false;
    }
}
