using Millau.Tests.Hostile;

namespace Millau.Tests.Wire;

// The wire tests that depend on what an instance's connection does, once more over TLS.

public sealed class ContinueOverTlsTests : ContinueTests
{
    public ContinueOverTlsTests() => InstanceKind.SpeakTls();
}

public sealed class FailoverOverTlsTests : FailoverTests
{
    public FailoverOverTlsTests() => InstanceKind.SpeakTls();
}

public sealed class FramingOverTlsTests : FramingTests
{
    public FramingOverTlsTests() => InstanceKind.SpeakTls();
}

public sealed class HostileResponseOverTlsTests : HostileResponseTests
{
    public HostileResponseOverTlsTests() => InstanceKind.SpeakTls();
}

public sealed class KeepAliveOverTlsTests : KeepAliveTests
{
    public KeepAliveOverTlsTests() => InstanceKind.SpeakTls();
}

public sealed class ReplayOverTlsTests : ReplayTests
{
    public ReplayOverTlsTests() => InstanceKind.SpeakTls();
}

public sealed class StreamingOverTlsTests : StreamingTests
{
    public StreamingOverTlsTests() => InstanceKind.SpeakTls();
}

public sealed class UpgradeOverTlsTests : UpgradeTests
{
    public UpgradeOverTlsTests() => InstanceKind.SpeakTls();
}

public sealed class WalkOverTlsTests : WalkTests
{
    public WalkOverTlsTests() => InstanceKind.SpeakTls();
}
