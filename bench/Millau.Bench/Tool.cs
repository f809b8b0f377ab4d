using System.ComponentModel;
using System.Diagnostics;

namespace Millau.Bench;

/// <summary>Small helper programs of the system.</summary>
internal static class Tool
{
    /// <summary>What a program prints, trimmed; null if it is missing, fails or takes longer than 5 s.</summary>
    public static string? Output(string program, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var output = process.StandardOutput.ReadToEndAsync();
            _ = process.StandardError.ReadToEndAsync();
            if (process.WaitForExit(TimeSpan.FromSeconds(5)))
                return process.ExitCode == 0 ? output.Result.Trim() : null;
            process.Kill();
            return null;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}
