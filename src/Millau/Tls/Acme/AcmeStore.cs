using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Logging;

namespace Millau.Tls.Acme;

/// <summary>An account as it is kept.</summary>
/// <param name="Directory">The CA's; for people.</param>
/// <param name="Url">Null until the CA has given one.</param>
/// <param name="Key">PKCS#8 PEM.</param>
/// <param name="ExternalAccount">The key id that it is bound to; null for none.</param>
internal sealed record AccountState(string? Directory, string? Url, string? Key, string? Email, string? ExternalAccount)
{
    /// <summary>Without the key.</summary>
    public override string ToString() => Url ?? "not registered";
}

/// <summary>A wait after a failure.</summary>
/// <param name="Failures">How many in a row.</param>
/// <param name="Since">When it began.</param>
/// <param name="Seconds">How long it is.</param>
/// <param name="Error">The CA's words.</param>
internal sealed record WaitState(int Failures, DateTimeOffset Since, double Seconds, string Error)
{
    [JsonIgnore]
    public DateTimeOffset Until => Since.AddSeconds(Seconds);
}

/// <summary>What a CA said of the renewal of a certificate.</summary>
internal sealed record RenewalState(DateTimeOffset Start, DateTimeOffset End, DateTimeOffset NextCheck);

/// <summary>What is kept besides the account and the certificates.</summary>
/// <param name="Names">Waits, by name.</param>
/// <param name="Ca">The wait for the CA as a whole; null if there is none.</param>
/// <param name="Renewals">By the certificates' ARI ids.</param>
/// <param name="Challenge">The one that worked last.</param>
internal sealed record ProgressState(
    Dictionary<string, WaitState>? Names, WaitState? Ca, Dictionary<string, RenewalState>? Renewals, string? Challenge);

[JsonSerializable(typeof(AccountState))]
[JsonSerializable(typeof(ProgressState))]
[JsonSourceGenerationOptions(
    GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
internal sealed partial class AcmeStateJson : JsonSerializerContext;

/// <summary>
/// The files of automatic HTTPS, for each CA a directory of its own: <c>account.json</c>, <c>progress.json</c>, and one PEM
/// file (key, then chain) for each certificate. What cannot be written is still held in memory by those who use it; that it
/// cannot is said once, and again when it can. Used by one at a time.
/// </summary>
internal sealed class AcmeStore(AcmeOptions options, ILogger log)
{
    public const string AccountFile = "account.json";
    public const string ProgressFile = "progress.json";
    private const string Certificates = "certificates";
    private const int LargestFile = 4 * 1024 * 1024;

    private readonly string _ofAll = Path.Combine(options.Data, "acme");
    private readonly Dictionary<string, byte[]> _unwritten = new(StringComparer.Ordinal);

    /// <summary>Why state is only in memory; empty if it is on disk.</summary>
    public string Problem { get; private set; } = "";

    /// <summary>Where the files of this CA are. Not asked for where there are none: the name is a hash, which loads OpenSSL.</summary>
    public string Root => field ??= Path.Combine(_ofAll, NameOf(options.Directory));

    private bool IsNew => !Directory.Exists(_ofAll);

    public AccountState? ReadAccount() => Read(AccountFile, AcmeStateJson.Default.AccountState);

    public void WriteAccount(AccountState account) => Write(AccountFile, account, AcmeStateJson.Default.AccountState);

    public ProgressState? ReadProgress() => Read(ProgressFile, AcmeStateJson.Default.ProgressState);

    public void WriteProgress(ProgressState progress) => Write(ProgressFile, progress, AcmeStateJson.Default.ProgressState);

    /// <summary>All certificates, as file name and PEM.</summary>
    public ImmutableArray<(string File, string Pem)> ReadCertificates()
    {
        var found = ImmutableArray.CreateBuilder<(string, string)>();
        try
        {
            if (IsNew) return [];
            var directory = Path.Combine(Root, Certificates);
            if (!Directory.Exists(directory)) return [];
            foreach (var path in Directory.EnumerateFiles(directory, "*.pem").Order(StringComparer.Ordinal))
            {
                if (new FileInfo(path).Length <= LargestFile)
                    found.Add((Path.GetFileName(path), File.ReadAllText(path)));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.AcmeFileBroken(log, Path.Combine(Root, Certificates), e.Message);
        }
        return found.DrainToImmutable();
    }

    /// <summary>One name for one set of names, so that a renewed certificate takes the place of the one before.</summary>
    public static string FileOf(ImmutableArray<string> names) =>
        $"{names[0]}-{Hash(string.Join(' ', names.Order(StringComparer.Ordinal)))}.pem";

    public void WriteCertificate(string file, string pem) => Write(Path.Combine(Certificates, file), Encoding.ASCII.GetBytes(pem));

    public void DeleteCertificate(string file)
    {
        _unwritten.Remove(Path.Combine(Certificates, file));
        try
        {
            File.Delete(Path.Combine(Root, Certificates, file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is read again at the next start, found to be of no use, and tried again.
        }
    }

    /// <summary>Whether there is something that could not be written.</summary>
    public bool HasUnwritten => _unwritten.Count > 0;

    /// <summary>Tries again what could not be written.</summary>
    public void WriteAgain()
    {
        foreach (var (file, content) in _unwritten.ToList())
            Write(file, content);
    }

    private T? Read<T>(string file, JsonTypeInfo<T> type)
        where T : class
    {
        if (IsNew) return null;
        var path = Path.Combine(Root, file);
        try
        {
            if (!File.Exists(path)) return null;
            if (new FileInfo(path).Length > LargestFile) throw new IOException("the file is too large");
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), type);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            Log.AcmeFileBroken(log, path, e.Message);
            return null;
        }
    }

    private void Write<T>(string file, T value, JsonTypeInfo<T> type) => Write(file, JsonSerializer.SerializeToUtf8Bytes(value, type));

    private void Write(string file, byte[] content)
    {
        try
        {
            DurableFile.Write(Path.Combine(Root, file), content);
            _unwritten.Remove(file);
            if (Problem.Length == 0 || HasUnwritten) return;
            Problem = "";
            Log.AcmeStateKeptAgain(log, Root);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _unwritten[file] = content;
            var isNew = Problem.Length == 0;
            Problem = e.Message;
            if (isNew) Log.AcmeStateNotKept(log, Root, e.Message);
        }
    }

    /// <summary>A name that a person recognizes and that differs for any two directories.</summary>
    private static string NameOf(Uri directory) =>
        $"{(directory.HostNameType == UriHostNameType.IPv6 ? "ipv6" : directory.Host)}-{Hash(directory.AbsoluteUri)}";

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..8];
}
