namespace Millau;

/// <summary>What the program calls itself.</summary>
internal static class Product
{
    public const string Name = "Millau";

    public static readonly string Version = typeof(Product).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    public static readonly string Title = $"{Name} {Version}";
}
