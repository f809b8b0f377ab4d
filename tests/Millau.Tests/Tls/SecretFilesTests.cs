using Millau.Tls;

namespace Millau.Tests.Tls;

public sealed class SecretFilesTests : IDisposable
{
    private readonly DirectoryInfo _home = Directory.CreateTempSubdirectory("millau-secrets-");
    private readonly string _root;
    private readonly SecretFiles _secrets;

    public SecretFilesTests()
    {
        _root = _home.CreateSubdirectory("secrets").FullName;
        _secrets = new SecretFiles(_root);
    }

    [Theory]
    [InlineData("secret:../outside")]
    [InlineData("secret:..")]
    [InlineData("secret:.")]
    [InlineData("secret:")]
    [InlineData("secret:a/b")]
    [InlineData("secret:/etc/passwd")]
    [InlineData("secret:a\0b")]
    [InlineData("secret:a b")]
    [InlineData("secret:é")]
    public void No_name_leads_out_of_the_directory(string value)
    {
        File.WriteAllText(Path.Combine(_home.FullName, "outside"), "never");
        Assert.False(_secrets.TryResolve(value, out var text, out var problem));
        Assert.Equal("", text);
        Assert.Contains("a secret's name has letters", problem);
    }

    [Fact]
    public void The_file_is_given_as_it_is()
    {
        File.WriteAllText(Path.Combine(_root, "a_b-c.key"), "text\n");
        Assert.True(_secrets.TryResolve("secret:a_b-c.key", out var text, out _));
        Assert.Equal("text\n", text);
    }

    [Fact]
    public void What_is_no_file_or_too_large_is_said_to_be()
    {
        Directory.CreateDirectory(Path.Combine(_root, "directory"));
        File.WriteAllBytes(Path.Combine(_root, "large"), new byte[(512 * 1024) + 1]);
        Assert.False(_secrets.TryResolve("secret:directory", out _, out var problem));
        Assert.Contains("cannot be read", problem);
        Assert.False(_secrets.TryResolve("secret:large", out _, out problem));
        Assert.Contains("larger than 512 KiB", problem);
        Assert.False(new SecretFiles("/nonexistent").TryResolve("secret:any", out _, out problem));
        Assert.Contains("/nonexistent/any does not exist", problem);
    }

    public void Dispose() => _home.Delete(recursive: true);
}
