using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Millau.Tls.Acme;

/// <summary>The key of an account: signs with ES256 (RFC 7518 section 3.4).</summary>
internal sealed class AccountKey : IDisposable
{
    private readonly ECDsa _key;
    private readonly string _x;
    private readonly string _y;

    private AccountKey(ECDsa key)
    {
        _key = key;
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        _x = Base64Url.EncodeToString(point.X);
        _y = Base64Url.EncodeToString(point.Y);
        // The members in this order and without spaces, as RFC 7638 section 3 wants them hashed.
        Thumbprint = Base64Url.EncodeToString(
            SHA256.HashData(Encoding.ASCII.GetBytes($$"""{"crv":"P-256","kty":"EC","x":"{{_x}}","y":"{{_y}}"}""")));
    }

    /// <summary>RFC 7638; half of every key authorization.</summary>
    public string Thumbprint { get; }

    public static AccountKey Create() => new(ECDsa.Create(ECCurve.NamedCurves.nistP256));

    /// <summary>A key as <see cref="ToPem"/> gives it. Another kind of key, or no PEM: <see cref="CryptographicException"/> or <see cref="ArgumentException"/>.</summary>
    public static AccountKey FromPem(string pem)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(pem);
            if (key.ExportParameters(false).Curve.Oid.Value != ECCurve.NamedCurves.nistP256.Oid.Value)
                throw new CryptographicException("the key is not of the curve P-256");
            return new AccountKey(key);
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    /// <summary>PKCS#8. For the store alone.</summary>
    public string ToPem() => _key.ExportPkcs8PrivateKeyPem();

    /// <summary>RFC 8555 section 8.1.</summary>
    public string Authorize(string token) => $"{token}.{Thumbprint}";

    /// <summary>A request body (RFC 8555 section 6.2).</summary>
    /// <param name="payload">Empty for POST-as-GET.</param>
    /// <param name="accountUrl">Null before the account exists: the public key goes along.</param>
    public byte[] Sign(Uri url, string nonce, string? accountUrl, ReadOnlySpan<byte> payload)
    {
        var header = Jws.Header("ES256", url, accountUrl, nonce, accountUrl is null ? WritePublicKey : null);
        return Jws.Serialize(header, payload, input => _key.SignData(input, HashAlgorithmName.SHA256));
    }

    /// <summary>Binds this key to an account that the CA knows otherwise (RFC 8555 section 7.3.4).</summary>
    public JsonElement Bind(ExternalAccount account, Uri newAccount)
    {
        var header = Jws.Header("HS256", newAccount, account.KeyId, nonce: null, publicKey: null);
        var payload = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(payload))
            WritePublicKeyValue(json);
        var bound = Jws.Serialize(header, payload.WrittenSpan, input => HMACSHA256.HashData(account.Hmac, input));
        using var document = JsonDocument.Parse(bound);
        return document.RootElement.Clone();
    }

    public void Dispose() => _key.Dispose();

    private void WritePublicKey(Utf8JsonWriter json)
    {
        json.WritePropertyName("jwk");
        WritePublicKeyValue(json);
    }

    private void WritePublicKeyValue(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("crv", "P-256");
        json.WriteString("kty", "EC");
        json.WriteString("x", _x);
        json.WriteString("y", _y);
        json.WriteEndObject();
    }
}

/// <summary>An account at the CA's other door: a key id and the HMAC key that belongs to it.</summary>
internal sealed record ExternalAccount(string KeyId, byte[] Hmac)
{
    /// <summary>Without the key.</summary>
    public override string ToString() => KeyId;
}

/// <summary>JSON Web Signatures in the flattened form (RFC 7515 section 7.2.2).</summary>
internal static class Jws
{
    public static byte[] Header(string algorithm, Uri url, string? keyId, string? nonce, Action<Utf8JsonWriter>? publicKey)
    {
        var header = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(header))
        {
            json.WriteStartObject();
            json.WriteString("alg", algorithm);
            if (keyId is not null) json.WriteString("kid", keyId);
            publicKey?.Invoke(json);
            if (nonce is not null) json.WriteString("nonce", nonce);
            json.WriteString("url", url.AbsoluteUri);
            json.WriteEndObject();
        }
        return header.WrittenSpan.ToArray();
    }

    public static byte[] Serialize(ReadOnlySpan<byte> header, ReadOnlySpan<byte> payload, Func<byte[], byte[]> sign)
    {
        var first = Base64Url.EncodeToString(header);
        var second = Base64Url.EncodeToString(payload);
        var signature = Base64Url.EncodeToString(sign(Encoding.ASCII.GetBytes($"{first}.{second}")));
        return JsonSerializer.SerializeToUtf8Bytes(new JwsModel(first, second, signature), AcmeJson.Default.JwsModel);
    }
}
