using System.Runtime.InteropServices;
using System.Text;

namespace Millau.Tls.Acme;

/// <summary>
/// Files that are there whole or not at all, also when the power goes: written beside their place, flushed, renamed over it,
/// and the directory flushed. For their owner alone (0600, directories 0700), as they hold keys.
/// </summary>
internal static class DurableFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Throws <see cref="IOException"/> or <see cref="UnauthorizedAccessException"/>; then the file before is still there.</summary>
    public static void Write(string path, byte[] content)
    {
        if (OperatingSystem.IsWindows()) throw new PlatformNotSupportedException();
        var directory = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(directory, OwnerOnly | UnixFileMode.UserExecute);
        var temporary = Path.Combine(directory, $".{Path.GetFileName(path)}.new");
        // One that a killed process left may belong to somebody else or be a link.
        File.Delete(temporary);
        try
        {
            using (var file = new FileStream(temporary, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = OwnerOnly,
                PreallocationSize = content.Length,
                BufferSize = 0,
            }))
            {
                file.Write(content);
                file.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            TryDelete(temporary);
            throw;
        }
        Flush(directory);
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The reason that matters is on its way already.
        }
    }

    /// <summary>.NET opens no directories, and the name of a new file is safe only when its directory is.</summary>
    private static void Flush(string directory)
    {
        var handle = Open(Encoding.UTF8.GetBytes(directory + '\0'), 0, 0);
        if (handle < 0) return;
        // Some file systems cannot; they have nothing to flush then.
        _ = FSync(handle);
        _ = Close(handle);
    }

    // The runtime's own layer over libc: it is part of the native binary, so that nothing is looked for by name at run time.
    [DllImport("libSystem.Native", EntryPoint = "SystemNative_Open")]
    private static extern nint Open(byte[] path, int flags, int mode);

    [DllImport("libSystem.Native", EntryPoint = "SystemNative_FSync")]
    private static extern int FSync(nint handle);

    [DllImport("libSystem.Native", EntryPoint = "SystemNative_Close")]
    private static extern int Close(nint handle);
}
