using System.Text;

namespace Millau.Tests.Wire.Http2;

/// <summary>What a client has received in one stream so far.</summary>
internal sealed class Http2Answer
{
    private readonly StringBuilder _body = new();

    /// <summary>0 before the final head.</summary>
    public int Status { get; private set; }

    /// <summary>Statuses of interim responses.</summary>
    public List<int> Interim { get; } = [];

    public List<(string Name, string Value)> Fields { get; private set; } = [];

    public List<(string Name, string Value)> Trailers { get; private set; } = [];

    public string Body => _body.ToString();

    public int BodyLength => _body.Length;

    /// <summary>The server has ended the stream: the answer is whole.</summary>
    public bool IsWhole { get; private set; }

    /// <summary>The code of RST_STREAM, or null.</summary>
    public uint? ResetCode { get; set; }

    public bool IsOver => IsWhole || ResetCode is not null;

    /// <summary>The header block that is being read ends the stream.</summary>
    public bool EndsWithBlock { get; set; }

    /// <summary>All values of a field, or null.</summary>
    public string? this[string name] =>
        Fields.Exists(f => f.Name == name) ? string.Join("|", Fields.Where(f => f.Name == name).Select(f => f.Value)) : null;

    public void AddData(byte[] data, bool end)
    {
        Assert.False(IsWhole, "DATA after the end of the stream");
        _body.Append(Encoding.Latin1.GetString(data));
        IsWhole = end;
    }

    public void AddFields(List<(string Name, string Value)> fields)
    {
        Assert.False(IsWhole, "HEADERS after the end of the stream");
        if (Status > 0) Trailers = fields;
        else AddHead(fields);
        IsWhole = EndsWithBlock;
    }

    private void AddHead(List<(string Name, string Value)> fields)
    {
        var status = int.Parse(fields.Single(f => f.Name == ":status").Value);
        if (status < 200)
        {
            Interim.Add(status);
            return;
        }
        Status = status;
        Fields = fields;
    }
}
