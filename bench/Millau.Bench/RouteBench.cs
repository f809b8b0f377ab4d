namespace Millau.Bench;

/// <summary>What one route look-up costs with few and with many services.</summary>
internal static class RouteBench
{
    public const string Name = "routes";

    public static void Run(Report report)
    {
        report.Line("not yet");
    }
}
