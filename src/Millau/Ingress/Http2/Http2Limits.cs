namespace Millau.Ingress.Http2;

/// <summary>What one HTTP/2 connection may take, beside <see cref="ClientLimits"/>.</summary>
internal static class Http2Limits
{
    // What clients may send ahead of instances that do not take it yet. It bounds the memory of a connection, and with the way's
    // round-trip time the rate of an upload: 512 KiB in 50 ms are 80 Mbit/s.

    /// <summary>Bytes of DATA that a client may have under way on all streams together.</summary>
    public const int ConnectionWindow = 768 * 1024;

    /// <summary>The same on one stream.</summary>
    public const int StreamWindow = 512 * 1024;

    /// <summary>Size of the fields of a request, as SETTINGS_MAX_HEADER_LIST_SIZE counts it; 431 beyond.</summary>
    public const int HeaderList = 32 * 1024;

    /// <summary>Fields of a request; 431 beyond.</summary>
    public const int HeaderFields = 100;

    /// <summary>Bytes of a header block before it is decoded; the connection is cut beyond.</summary>
    public const int HeaderBlock = 64 * 1024;

    /// <summary>Frames that a header block may come in.</summary>
    public const int HeaderFrames = 32;

    // A client that vanished with a stream open, as one that waits for events, is noticed, and its instance's connection with it.

    /// <summary>A client that says nothing for this long, with a stream open, is asked whether it is there.</summary>
    public static readonly TimeSpan PingAfter = TimeSpan.FromSeconds(60);

    /// <summary>How long it may take to answer that.</summary>
    public static readonly TimeSpan PingPatience = TimeSpan.FromSeconds(20);

    /// <summary>The slowest sender of a body, in bytes a second.</summary>
    public const int SlowestSender = 1;
}
