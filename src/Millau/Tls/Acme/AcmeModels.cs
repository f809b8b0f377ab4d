using System.Text.Json;
using System.Text.Json.Serialization;

namespace Millau.Tls.Acme;

/// <summary>What the directory says (RFC 8555 section 7.1.1).</summary>
internal sealed record DirectoryModel(
    string? NewNonce, string? NewAccount, string? NewOrder, string? RenewalInfo, DirectoryMetaModel? Meta);

/// <param name="Profiles">Names of profiles, each with its description; null if the CA has none.</param>
internal sealed record DirectoryMetaModel(
    string? TermsOfService, bool? ExternalAccountRequired, Dictionary<string, JsonElement>? Profiles);

/// <summary>To be registered (RFC 8555 section 7.3).</summary>
internal sealed record NewAccountModel(bool TermsOfServiceAgreed, string[]? Contact, JsonElement? ExternalAccountBinding);

/// <summary>A change of the contacts of an account (RFC 8555 section 7.3.2).</summary>
internal sealed record ContactModel(string[] Contact);

internal sealed record IdentifierModel(string? Type, string? Value);

/// <summary>An order to be made (RFC 8555 section 7.4; <c>replaces</c>: RFC 9773 section 5).</summary>
internal sealed record NewOrderModel(IdentifierModel[] Identifiers, string? Profile, string? Replaces);

/// <summary>An order as the CA shows it (RFC 8555 section 7.1.3).</summary>
internal sealed record OrderModel(
    string? Status, string[]? Authorizations, string? Finalize, string? Certificate, ProblemModel? Error);

/// <summary>RFC 8555 section 7.1.4.</summary>
internal sealed record AuthorizationModel(IdentifierModel? Identifier, string? Status, ChallengeModel[]? Challenges);

/// <summary>RFC 8555 section 8.</summary>
internal sealed record ChallengeModel(string? Type, string? Url, string? Status, string? Token, ProblemModel? Error);

internal sealed record FinalizeModel(string Csr);

/// <summary>RFC 9773 section 4.2.</summary>
internal sealed record RenewalInfoModel(RenewalWindowModel? SuggestedWindow, [property: JsonPropertyName("explanationURL")] string? ExplanationUrl);

internal sealed record RenewalWindowModel(DateTimeOffset? Start, DateTimeOffset? End);

/// <summary>An error in the CA's words (RFC 7807, RFC 8555 section 6.7).</summary>
internal sealed record ProblemModel(
    string? Type, string? Detail, string? Title, IdentifierModel? Identifier, ProblemModel[]? Subproblems);

/// <summary>A signed request (RFC 7515 section 7.2.2).</summary>
internal sealed record JwsModel(string Protected, string Payload, string Signature);

[JsonSerializable(typeof(DirectoryModel))]
[JsonSerializable(typeof(NewAccountModel))]
[JsonSerializable(typeof(ContactModel))]
[JsonSerializable(typeof(NewOrderModel))]
[JsonSerializable(typeof(OrderModel))]
[JsonSerializable(typeof(AuthorizationModel))]
[JsonSerializable(typeof(FinalizeModel))]
[JsonSerializable(typeof(RenewalInfoModel))]
[JsonSerializable(typeof(ProblemModel))]
[JsonSerializable(typeof(JwsModel))]
[JsonSourceGenerationOptions(
    GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
internal sealed partial class AcmeJson : JsonSerializerContext;
