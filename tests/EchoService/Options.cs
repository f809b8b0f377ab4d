namespace Millau.EchoService;

/// <summary>How one instance behaves: from its arguments (as public echo images take them), else from its environment.</summary>
/// <remarks>
/// <c>-listen=:9000</c> <c>-text=blue</c> are taken because the stack files of deploy/ name images that know them; a text
/// that was given so is the whole answer.
/// Environment: <c>PORT</c>, <c>NAME</c>, <c>START_DELAY</c> (milliseconds before the port opens), <c>STOP_DELAY</c>
/// (milliseconds that the instance goes on serving after SIGTERM), <c>DELAY</c> (milliseconds before each answer),
/// <c>RECORD</c> (directory that outlives the instance: executed POST ids are appended there), <c>ADDRESS</c> (to listen on;
/// else on all), <c>RESET_EVERY</c> (each so-manyth request is executed and then its connection reset).
/// </remarks>
internal sealed record Options(int Port, string Name, int StartDelay, int StopDelay, int Delay, string? Record,
    bool TextOnly, string? Address, int ResetEvery)
{
    public static Options Read(string[] args)
    {
        var port = Number("PORT", 80);
        var name = Environment.GetEnvironmentVariable("NAME") ?? "echo";
        var textOnly = false;
        foreach (var arg in args)
        {
            if (arg.StartsWith("-listen=", StringComparison.Ordinal))
                port = int.Parse(arg[(arg.LastIndexOf(':') + 1)..]);
            else if (arg.StartsWith("-text=", StringComparison.Ordinal))
                (name, textOnly) = (arg["-text=".Length..], true);
            else if (arg != "healthcheck")
                throw new ArgumentException($"unknown argument '{arg}': -listen=:PORT, -text=NAME or healthcheck");
        }
        return new Options(port, name, Number("START_DELAY", 0), Number("STOP_DELAY", 0), Number("DELAY", 0),
            Environment.GetEnvironmentVariable("RECORD"), textOnly, Environment.GetEnvironmentVariable("ADDRESS"), Number("RESET_EVERY", 0));
    }

    private static int Number(string name, int otherwise) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text) : otherwise;
}
