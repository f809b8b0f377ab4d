namespace Millau.Telemetry.Access;

/// <summary>How a request is told in the access log.</summary>
internal enum AccessLogFormat
{
    /// <summary>Not at all.</summary>
    Off,

    /// <summary>The Common Log Format of NCSA and Apache, with <c>key=value</c> behind it.</summary>
    Common,

    /// <summary>The same with referer and user agent before the keys.</summary>
    Combined,

    /// <summary>One JSON object.</summary>
    Json,
}
