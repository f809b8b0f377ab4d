namespace Millau.Telemetry.Metrics;

/// <summary>The methods that have rows of their own: those of RFC 9110 section 9 and PATCH. Any other is <c>OTHER</c>.</summary>
internal static class MethodLabel
{
    private static readonly string[] Names =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "OTHER"];

    public static int Count => Names.Length;

    public static string Name(int index) => Names[index];

    /// <summary>A method's place; methods are case-sensitive (RFC 9110 section 9.1).</summary>
    public static int Index(string method) => method switch
    {
        "GET" => 0,
        "HEAD" => 1,
        "POST" => 2,
        "PUT" => 3,
        "DELETE" => 4,
        "CONNECT" => 5,
        "OPTIONS" => 6,
        "TRACE" => 7,
        "PATCH" => 8,
        _ => 9,
    };
}
