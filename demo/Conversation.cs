using System.Threading.Channels;

namespace Millau.Demo;

/// <summary>
/// Goes through the demo: a tour that repeats, until somebody types a command; then whatever is typed. Without an input
/// the tour goes on.
/// </summary>
internal static class Conversation
{
    private static readonly (string Comment, string Command)[] Tour =
    [
        ("Fewer instances, then more: nobody notices", "scale whoami 1"),
        ("", "scale whoami 3"),
        ("Blue dies and nobody tells: its requests go to green, until a new blue runs", "kill blue"),
        ("The shop closes: company.com, the next best host, answers in its place", "scale shop 0"),
        ("", "scale shop 1"),
        ("Every instance is replaced", "update whoami"),
        ("The Engine goes away: what is known stays routed", "engine stop"),
        ("", "engine start"),
    ];

    /// <summary>Talks until told to quit.</summary>
    /// <param name="demo">Executes the commands.</param>
    /// <param name="screen">For what is said besides.</param>
    /// <param name="input">Commands, a line each. Read on a thread of its own, which may be left behind waiting.</param>
    /// <param name="pause">Between two steps of the tour; before it begins anew, five times as long.</param>
    /// <param name="cancellation">Ends the talk at once, without an exception.</param>
    public static async Task RunAsync(
        DemoRun demo, Screen screen, TextReader input, TimeSpan pause, CancellationToken cancellation)
    {
        var lines = Channel.CreateUnbounded<string>();
        new Thread(() => Read(input, lines.Writer)) { IsBackground = true, Name = "commands" }.Start();
        var step = 0;
        var isTouring = true;
        try
        {
            while (true)
            {
                var line = await NextAsync(lines.Reader, isTouring ? step == 0 ? pause * 5 : pause : null, cancellation);
                if (line is "quit" or "exit")
                    return;
                if (line is not null)
                    isTouring = line == "tour" || (isTouring && line.Length == 0);
                if (lines.Reader.Completion.IsCompleted)
                    isTouring = true;
                if (line is not (null or "tour"))
                {
                    await demo.ExecuteAsync(line).WaitAsync(cancellation);
                    continue;
                }

                var (comment, command) = Tour[step];
                step = (step + 1) % Tour.Length;
                screen.Line();
                if (comment.Length > 0)
                    screen.Comment(comment);
                screen.Command(command);
                await demo.ExecuteAsync(command).WaitAsync(cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The end that was asked for.
        }
    }

    /// <summary>What is typed next; null when the patience is over, or nothing will be typed any more.</summary>
    private static async Task<string?> NextAsync(
        ChannelReader<string> lines, TimeSpan? patience, CancellationToken cancellation)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (patience is { } time)
            end.CancelAfter(time);
        try
        {
            if (await lines.WaitToReadAsync(end.Token) && lines.TryRead(out var line))
                return line;
            await Task.Delay(patience ?? TimeSpan.Zero, cancellation);
            return null;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return null;
        }
    }

    private static void Read(TextReader input, ChannelWriter<string> lines)
    {
        while (input.ReadLine() is { } line)
            lines.TryWrite(line.Trim());
        lines.TryComplete();
    }
}
