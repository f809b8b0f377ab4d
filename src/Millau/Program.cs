using Millau;
using Millau.Logging;
using Millau.Telemetry.Access;

// The socket layer reads this at its first use: completions run on the thread that saw the socket become ready, instead
// of hopping to the thread pool twice a request.
Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");

if (await CommandLine.TryHandleAsync(args, Environment.GetEnvironmentVariable, Console.Out, Console.Error) is { } exitCode)
    return exitCode;

var valid = Settings.TryRead(Environment.GetEnvironmentVariable, out var settings, out var error);
// Standard output is the access log's alone if there is one, so that whatever reads that format reads nothing else.
using var events = settings.AccessLog == AccessLogFormat.Off ? Console.OpenStandardOutput() : Console.OpenStandardError();
using var logging = LineLoggerProvider.CreateFactory(settings.LogLevel, settings.LogFormat, events, TimeProvider.System);
// What was logged before a crash is what one wants to read after it.
AppDomain.CurrentDomain.UnhandledException += (_, _) => logging.Dispose();
if (!valid)
{
    Log.BadSetting(logging.CreateLogger("Millau"), error);
    return 1;
}
return await new MillauProcess(settings, TimeProvider.System, logging).RunAsync();
