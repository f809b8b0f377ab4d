using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Millau.Bench;

/// <summary>A proxy that has answered its first request.</summary>
internal sealed class RunningProxy : IDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20);

    private readonly RunningProcess _process;

    private RunningProxy(ProxyKind kind, RunningProcess process, ProxyPlace place, TimeSpan timeToServe)
    {
        (Kind, _process, Port, TlsPort, TelemetryPort, TimeToServe) = (kind, process, place.Port, place.TlsPort, place.TelemetryPort, timeToServe);
        Tree = ProcessTree.Of(process.Id);
    }

    public ProxyKind Kind { get; }
    public int Port { get; }

    /// <summary>Listened on only for a workload over TLS, Millau aside.</summary>
    public int TlsPort { get; }

    /// <summary>Millau's; no other proxy listens there.</summary>
    public int TelemetryPort { get; }

    /// <summary>From the start of the process to the first 200.</summary>
    public TimeSpan TimeToServe { get; }

    public ProcessTree Tree { get; }

    /// <exception cref="InvalidOperationException">It ended, or did not serve in time.</exception>
    public static RunningProxy Start(
        ProxyKind kind, Workload? workload, int originPort, EngineStandIn engine, Options options, int connections = 4096)
    {
        var port = Ports.Free();
        var directory = System.IO.Directory.CreateDirectory(Path.Combine(options.Directory, $"{kind.Name}-{port}")).FullName;
        var certificate = workload?.Tls is { } tls ? BenchCertificate.Create(tls) : null;
        certificate?.WriteTo(directory);
        engine.Certificate = certificate;
        var place = new ProxyPlace(port, originPort, engine.Port, directory, options)
        {
            TlsPort = Ports.Free(),
            TelemetryPort = Ports.Free(),
            IsTls = certificate is not null,
            Cores = workload is { IsOnAllCores: true } ? Cores.OfMachine : 1,
            Connections = connections,
        };
        return Start(kind, place);
    }

    /// <summary>Millau before an Engine of one's own.</summary>
    /// <exception cref="InvalidOperationException">It ended, or did not serve in time.</exception>
    public static RunningProxy StartMillau(int originPort, int enginePort, Options options, int connections = 4096) =>
        Start(ProxyKind.OfMillau, new ProxyPlace(Ports.Free(), originPort, enginePort, options.Directory, options)
        {
            TlsPort = Ports.Free(),
            TelemetryPort = Ports.Free(),
            Connections = connections,
        });

    private static RunningProxy Start(ProxyKind kind, ProxyPlace place)
    {
        var (port, options) = (place.Port, place.Options);
        var command = kind.Prepare(place);
        var clock = Stopwatch.StartNew();
        // The pid goes into a file of the bench's own directory.
        var process = RunningProcess.Start(command, place.Cores > 1 ? Cores.All : $"{options.ProxyCore}", options.Directory, $"{kind.Name}-{port}");
        try
        {
            while (!Answers(port))
            {
                if (process.HasEnded)
                    throw new InvalidOperationException($"{kind.Name} ended:\n{process.Tail}");
                if (clock.Elapsed > StartLimit)
                    throw new InvalidOperationException($"{kind.Name} did not answer 200 within {StartLimit.TotalSeconds} s:\n{process.Tail}");
                Thread.Sleep(1);
            }
            return new RunningProxy(kind, process, place, clock.Elapsed);
        }
        catch
        {
            process.Dispose();
            throw;
        }
    }

    public void Dispose() => _process.Dispose();

    /// <summary>One plain GET over a new connection; true if the answer is 200.</summary>
    public static bool Answers(int port, string? host = null)
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 2000 };
            socket.Connect(IPAddress.Loopback, port);
            socket.Send(Encoding.ASCII.GetBytes($"GET /json HTTP/1.1\r\nHost: {host ?? $"127.0.0.1:{port}"}\r\nConnection: close\r\n\r\n"));
            Span<byte> status = stackalloc byte[12];
            var read = 0;
            while (read < status.Length && socket.Receive(status[read..]) is > 0 and var n)
                read += n;
            return status[..read].SequenceEqual("HTTP/1.1 200"u8);
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
