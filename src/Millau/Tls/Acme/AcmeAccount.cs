using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Millau.Tls.Acme;

/// <summary>The account at a CA: registered at first use, kept in the store, changed when its settings change (RFC 8555 section 7.3).</summary>
internal sealed class AcmeAccount(AcmeOptions options, AcmeClient client, AcmeStore store, ILogger log) : IDisposable
{
    private AccountKey? _key;
    private AccountState? _state;

    /// <summary>
    /// Opens the account, which registers it if there is none yet. Called by one at a time, at the beginning of a round.
    /// </summary>
    /// <returns>What signs orders from now on, or why there is nothing.</returns>
    public async Task<AcmeAnswer<AcmeSession>> OpenAsync(AcmeDirectory directory, CancellationToken cancellation)
    {
        Load();
        if (_state?.Url is null || _state.ExternalAccount != options.ExternalAccount?.KeyId)
        {
            if (await RegisterAsync(directory, cancellation) is { } fault) return fault;
        }
        else if (_state.Email != options.Email && await ChangeContactAsync(directory, cancellation) is { } fault)
        {
            // The account is there all the same, and orders need no address.
            Log.AcmeContactNotChanged(log, fault.Text);
        }
        return new AcmeSession(client, directory, _key!, _state!.Url!);
    }

    /// <summary>The CA does not know the account (any more): the next round registers it anew, with the same key.</summary>
    public void Lost() => _state = _state is null ? null : _state with { Url = null };

    public void Dispose() => _key?.Dispose();

    private void Load()
    {
        if (_state is not null) return;
        if (store.ReadAccount() is not { Key: { } pem } state) return;
        try
        {
            _key = AccountKey.FromPem(pem);
            _state = state;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            Log.AcmeFileBroken(log, AcmeStore.AccountFile, "the key cannot be read");
        }
    }

    private async Task<AcmeFault?> RegisterAsync(AcmeDirectory directory, CancellationToken cancellation)
    {
        if (directory.WantsExternalAccount && options.ExternalAccount is null)
        {
            return AcmeFault.Refused(
                $"this CA wants an account that is known to it: set {Settings.AcmeEabKidName} and {Settings.AcmeEabHmacName}");
        }
        // An account that is bound to another one gets a key of its own.
        if (_key is null || (_state is not null && _state.ExternalAccount != options.ExternalAccount?.KeyId))
        {
            _key?.Dispose();
            _key = AccountKey.Create();
        }
        var request = new NewAccountModel(true, Contact(), options.ExternalAccount is { } external
            ? _key.Bind(external, directory.NewAccount)
            : null);
        // Kept before it is used: a key that the CA knows and we forget would leave an account behind.
        Keep(new AccountState(client.Url.AbsoluteUri, null, _key.ToPem(), options.Email, options.ExternalAccount?.KeyId));
        var answer = await client.PostAsync(directory.NewAccount, directory.NewNonce, _key, null,
            JsonSerializer.SerializeToUtf8Bytes(request, AcmeJson.Default.NewAccountModel), cancellation);
        if (answer.Value is not { } response) return answer.Fault;
        if (response.Location is not { IsAbsoluteUri: true } url) return AcmeFault.Nonsense("the CA gives the account no address");
        Keep(_state! with { Url = url.AbsoluteUri });
        Log.AcmeAccountReady(log, url.AbsoluteUri, options.Email ?? "none", directory.Terms ?? "none");
        return null;
    }

    private async Task<AcmeFault?> ChangeContactAsync(AcmeDirectory directory, CancellationToken cancellation)
    {
        var answer = await client.PostAsync(new Uri(_state!.Url!), directory.NewNonce, _key!, _state.Url,
            JsonSerializer.SerializeToUtf8Bytes(new ContactModel(Contact() ?? []), AcmeJson.Default.ContactModel), cancellation);
        if (answer.Fault is { } fault) return fault;
        Keep(_state with { Email = options.Email });
        return null;
    }

    private string[]? Contact() => options.Email is { } email ? ["mailto:" + email] : null;

    private void Keep(AccountState state)
    {
        _state = state;
        store.WriteAccount(state);
    }
}

/// <summary>An open account: what orders are signed with.</summary>
internal sealed class AcmeSession(AcmeClient client, AcmeDirectory directory, AccountKey key, string accountUrl)
{
    public AcmeDirectory Directory => directory;

    public AccountKey Key => key;

    /// <inheritdoc cref="AcmeClient.Link"/>
    public Uri? Link(string? text) => client.Link(text);

    /// <inheritdoc cref="AcmeClient.PostAsync"/>
    public Task<AcmeAnswer<AcmeResponse>> PostAsync(Uri url, byte[] payload, CancellationToken cancellation) =>
        client.PostAsync(url, directory.NewNonce, key, accountUrl, payload, cancellation);
}
