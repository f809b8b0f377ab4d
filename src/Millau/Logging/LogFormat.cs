namespace Millau.Logging;

/// <summary>How the events of the log are written.</summary>
internal enum LogFormat
{
    /// <summary><c>2026-11-23T15:04:05.123Z INFO  message key=value</c></summary>
    Text,

    /// <summary>One JSON object a line.</summary>
    Json,
}
