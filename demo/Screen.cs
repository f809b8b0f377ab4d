using System.Text;

namespace Millau.Demo;

/// <summary>Where the demo writes, a line at a time from any thread; in colours if wanted.</summary>
internal sealed class Screen(TextWriter output, bool colours)
{
    private const string Bold = "1";
    private const string Dim = "2";
    private const string Yellow = "33";
    private const string Cyan = "36";

    private readonly Lock _lock = new();

    /// <summary>Off at the end, when what is logged would only tell that all is taken down.</summary>
    public bool IsLogShown { get; set; } = true;

    public void Line(string text = "") => Write("", text, null);

    public void Title(string text) => Write("", text, Bold);

    public void Comment(string text) => Write("# ", text, Cyan);

    public void Command(string text) => Write("$ ", text, Bold);

    public void Visitors(Visits visits) => Write("  visitors ", visits.ToString(), visits.Failed > 0 ? Yellow : null);

    /// <summary>Shows each line of a log under the name of Millau, without its date.</summary>
    public Stream Log() => new LogStream(this);

    private void Write(string prefix, string text, string? colour)
    {
        lock (_lock)
        {
            output.WriteLine(colours && colour is not null ? $"\e[{colour}m{prefix}{text}\e[0m" : prefix + text);
            output.Flush();
        }
    }

    private sealed class LogStream(Screen screen) : Stream
    {
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        // The logger writes whole lines, all that have come at once: the date, a space, the level, the message.
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (!screen.IsLogShown)
                return;
            foreach (var line in Encoding.UTF8.GetString(buffer).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                var message = line[(line.IndexOf(' ') + 1)..];
                screen.Write("  millau   ", message, message.StartsWith("INFO", StringComparison.Ordinal) ? Dim : Yellow);
            }
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
