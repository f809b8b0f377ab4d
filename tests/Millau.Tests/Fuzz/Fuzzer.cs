using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Millau.Tests.Fuzz;

/// <summary>
/// Mutates seeds and gives each mutant to a target, for a fraction of a second in the ordinary tests and for MILLAU_FUZZ_SECONDS
/// where that is set. The first round is the same every time; a long run goes on from a random number that it prints.
/// </summary>
internal static class Fuzzer
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(400);
    private const int MaxLength = 4096;

    // What parsers decide by.
    private static readonly string[] Tokens =
    [
        "\r\n", "\r", "\n", "\0", " ", "\t", ":", ";", ",", "=", "%", "%2e", "%2F", "..", "/", "\\", "*", "0", "-1", "+", "ffffffffffffffff",
        "18446744073709551616", "\"", "{", "}", "[", "]", "null", "true", "chunked", "Content-Length: ", "Transfer-Encoding: ",
        "HTTP/1.1 ", "\u00ff", "\u0001", "\u007f", "PROXY ", "-----BEGIN ", "millau.",
    ];

    /// <summary>Runs until the time is over or a target throws; the failure names the input.</summary>
    /// <param name="seeds">Latin-1.</param>
    /// <param name="target">Given a mutant, and a random number that decides what else there is to decide.</param>
    public static void Run(IEnumerable<string> seeds, Action<byte[], Random> target)
    {
        var duration = double.TryParse(Environment.GetEnvironmentVariable("MILLAU_FUZZ_SECONDS"), CultureInfo.InvariantCulture, out var seconds)
            ? TimeSpan.FromSeconds(seconds) : Short;
        var seed = duration > Short ? Environment.TickCount : 20251123;
        var random = new Random(seed);
        var corpus = seeds.Select(Encoding.Latin1.GetBytes).ToList();
        var started = Stopwatch.GetTimestamp();
        var executions = 0L;
        foreach (var bytes in corpus) Execute(bytes);
        while (Stopwatch.GetElapsedTime(started) < duration)
            for (var i = 0; i < 50; i++) Execute(Mutate(corpus, random));
        TestContext.Current.SendDiagnosticMessage($"fuzz: {TestContext.Current.TestMethod?.MethodName} executions={executions} seconds={duration.TotalSeconds} seed={seed}");
        TestContext.Current.TestOutputHelper?.WriteLine($"executions={executions} seed={seed}");
        if (duration > Short) Console.WriteLine($"fuzz: {TestContext.Current.TestMethod?.MethodName}: {executions} executions in {duration.TotalSeconds} s, seed {seed}");

        void Execute(byte[] bytes)
        {
            executions++;
            try
            {
                target(bytes, random);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"after {executions} executions, seed {seed}: \"{Escape(bytes)}\"", e);
            }
        }
    }

    /// <summary>A random cut into pieces of all of the bytes.</summary>
    public static IEnumerable<Memory<byte>> Cut(byte[] bytes, Random random)
    {
        for (var start = 0; start < bytes.Length;)
        {
            var length = Math.Min(bytes.Length - start, 1 + random.Next(random.Next(4) == 0 ? 2 : 40));
            yield return bytes.AsMemory(start, length);
            start += length;
        }
    }

    private static byte[] Mutate(List<byte[]> corpus, Random random)
    {
        var bytes = new List<byte>(corpus[random.Next(corpus.Count)]);
        for (var i = random.Next(1, 6); i > 0; i--)
        {
            var at = random.Next(bytes.Count + 1);
            var length = Math.Min(random.Next(1, 16), bytes.Count - at);
            switch (random.Next(7))
            {
                case 0 when at < bytes.Count:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1 when at < bytes.Count:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 2:
                    bytes.RemoveRange(at, length);
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(at, length));
                    break;
                case 4:
                    bytes.InsertRange(at, Encoding.Latin1.GetBytes(Tokens[random.Next(Tokens.Length)]));
                    break;
                case 5:
                    var other = corpus[random.Next(corpus.Count)];
                    var from = random.Next(other.Length + 1);
                    bytes.RemoveRange(at, bytes.Count - at);
                    bytes.AddRange(other[from..]);
                    break;
                default:
                    bytes.Insert(at, (byte)random.Next(256));
                    break;
            }
        }
        if (bytes.Count > MaxLength) bytes.RemoveRange(MaxLength, bytes.Count - MaxLength);
        return [.. bytes];
    }

    private static string Escape(byte[] bytes) =>
        string.Concat(bytes.Select(b => b is >= 32 and < 127 and not (byte)'"' and not (byte)'\\' ? ((char)b).ToString() : $"\\x{b:x2}"));
}
