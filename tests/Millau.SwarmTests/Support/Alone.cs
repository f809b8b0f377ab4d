namespace Millau.SwarmTests.Support;

/// <summary>Tests that disturb a whole node or measure what others would disturb: nothing runs beside them.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
