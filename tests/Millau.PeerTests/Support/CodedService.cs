using Millau.Demo;

namespace Millau.PeerTests.Support;

/// <summary>A service that answers with the code that its path names: <c>GET /404</c> gets a 404.</summary>
internal static class CodedService
{
    public static LoopbackService Deploy(EngineStandIn engine, string name, string host) =>
        LoopbackService.Deploy(engine, name, host, async connection =>
        {
            while (await connection.WaitForBytesAsync() && await connection.ReadHeadAsync() is { Length: > 0 } head)
                await connection.SendAsync($"HTTP/1.1 {head.Split(' ')[1][1..]} X\r\nContent-Length: 4\r\n\r\ncode");
        });
}
