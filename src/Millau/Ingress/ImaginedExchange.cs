using System.IO.Pipelines;
using System.Text;

namespace Millau.Ingress;

/// <summary>A request that nobody sent, to find out what would become of it; what is answered to it goes nowhere.</summary>
internal sealed class ImaginedExchange : Exchange
{
    private readonly byte[] _nowhere = new byte[4096];

    public ImaginedExchange(ClientPeer client, string method, string target, HttpVersion version = HttpVersion.Http11) : base(client) =>
        (Method, Target, Version) = (method, target, version);

    public override PipeReader Body { get; } = PipeReader.Create(Stream.Null);

    public override List<(string Name, string Value)>? Trailers => null;

    public override bool TakesPlainBody => true;

    /// <summary>Adds a field of the request.</summary>
    public ImaginedExchange With(string name, string value)
    {
        Fields.Add(Encoding.Latin1.GetBytes(name), Encoding.Latin1.GetBytes(value));
        return this;
    }

    public override void BeginHead(int status, ReadOnlySpan<byte> reason = default) => Status = status;

    public override void Field(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
    }

    public override void EndHead(long length, bool hasBody, bool trailers = false)
    {
    }

    public override Memory<byte> GetMemory(int atLeast) => atLeast <= _nowhere.Length ? _nowhere : new byte[atLeast];

    public override void Advance(int count)
    {
    }

    public override void Write(ReadOnlySpan<byte> bytes)
    {
    }

    public override ValueTask<bool> FlushAsync() => new(!IsGone);

    public override void EndBody(List<(string Name, string Value)>? trailers)
    {
    }

    public override void AcceptTunnel()
    {
    }

    public override void CloseAfterAnswer()
    {
    }

    public override void AskToLeave()
    {
    }

    public override void Abort() => SayGone();
}
