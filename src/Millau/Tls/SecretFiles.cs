using System.Text;

namespace Millau.Tls;

/// <summary>
/// Values that a label does not hold itself but names, as <c>secret:NAME</c>: the file of that name in one directory,
/// which is where Docker mounts secrets. And values that it does hold: base64 of text.
/// </summary>
/// <param name="root">The directory, such as <c>/run/secrets</c>; need not exist.</param>
internal sealed class SecretFiles(string root)
{
    public const string DefaultRoot = "/run/secrets";
    public const string Prefix = "secret:";

    /// <summary>Docker's own limit of a secret is 500 KB.</summary>
    private const int MostBytes = 512 * 1024;

    public static bool IsSecret(string value) => value.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase);

    /// <summary>The text that a label's value stands for.</summary>
    /// <param name="value">Base64, also with line breaks, or <c>secret:NAME</c>.</param>
    /// <param name="text">Empty if there is a problem.</param>
    /// <param name="problem">For people, without the value unless it is a secret's name; else empty.</param>
    public bool TryResolve(string value, out string text, out string problem) =>
        IsSecret(value) ? TryRead(value[Prefix.Length..], out text, out problem) : TryDecode(value, out text, out problem);

    private bool TryRead(string name, out string text, out string problem)
    {
        text = problem = "";
        if (!IsName(name))
        {
            problem = $"a secret's name has letters, digits, '-', '_' and '.' only, such as {Prefix}example.key";
            return false;
        }
        var path = Path.Combine(root, name);
        try
        {
            using var file = File.OpenRead(path);
            if (file.Length > MostBytes)
            {
                problem = $"secret {name} is larger than {MostBytes / 1024} KiB";
                return false;
            }
            using var reader = new StreamReader(file, Encoding.Latin1);
            text = reader.ReadToEnd();
            return true;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            problem = $"no such secret: {path} does not exist; give the secret to Millau's own service";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            problem = $"secret {name} cannot be read: {e.Message}";
        }
        return false;
    }

    private static bool TryDecode(string value, out string text, out string problem)
    {
        text = problem = "";
        // Decoding passes over white space, as `base64` without -w0 makes it.
        var bytes = new byte[value.Length];
        if (!Convert.TryFromBase64String(value, bytes, out var length))
        {
            problem = $"neither base64 nor {Prefix}NAME";
            return false;
        }
        text = Encoding.Latin1.GetString(bytes, 0, length);
        return true;
    }

    // No separators, so that no path leads out of the directory; Docker's own rule for names of secrets.
    private static bool IsName(string name) =>
        name.Length is > 0 and <= 64 && name is not ("." or "..")
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
}
