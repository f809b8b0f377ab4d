using System.Net.Sockets;
using System.Runtime.InteropServices;
using Millau.Demo;

using var stop = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
var screen = new Screen(
    Console.Out, !Console.IsOutputRedirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")));
try
{
    await using var demo = await DemoRun.StartAsync(screen);
    await Conversation.RunAsync(demo, screen, Console.In, TimeSpan.FromSeconds(2), stop.Token);
    return 0;
}
catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressNotAvailable)
{
    // Linux and Windows answer on all of 127.0.0.0/8; macOS on 127.0.0.1 alone.
    Console.Error.WriteLine("demo: needs more loopback addresses: for i in $(seq 2 60); do sudo ifconfig lo0 alias 127.42.0.$i; done");
    return 1;
}

// A second signal takes its usual course.
void Stop(PosixSignalContext signal)
{
    signal.Cancel = !stop.IsCancellationRequested;
    stop.Cancel();
}
