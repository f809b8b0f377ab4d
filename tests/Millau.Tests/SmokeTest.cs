namespace Millau.Tests;

public class SmokeTest { [Fact] public void Runs() => Assert.True(typeof(Millau.Discovery.ServiceCatalog).IsSealed); }
