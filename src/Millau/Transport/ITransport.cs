using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Millau.Transport;

/// <summary>Takes in a connection that was accepted. Any thread, several at a time.</summary>
/// <returns>What begins its service, to be executed once; null if it is not wanted, and closed already.</returns>
internal delegate IThreadPoolWorkItem? AcceptedConnection(ConnectionContext connection);

/// <summary>Accepts connections, and moves their bytes. Each connection has the feature <see cref="IHalfClose"/>.</summary>
internal interface ITransport
{
    /// <summary>Listens, and hands over each connection from now on.</summary>
    /// <param name="socket">Bound. Owned by what is returned.</param>
    /// <exception cref="IOException">The system refuses.</exception>
    /// <exception cref="SocketException">The same.</exception>
    public ValueTask<IAccepting> ListenAsync(Socket socket, AcceptedConnection accepted);
}

/// <summary>A socket that is listened on. To be disposed when its connections are over.</summary>
internal interface IAccepting : IAsyncDisposable
{
    /// <summary>Closes it. It is over when all connections that were accepted have been handed over. May be called again.</summary>
    public Task CloseAsync();
}

/// <summary>A connection that can say the end of what it sends, and still receive.</summary>
internal interface IHalfClose
{
    /// <summary>What was flushed still arrives. May be called when the connection has gone.</summary>
    public void ShutdownSend();

    /// <summary>Bytes that were sent on the connection so far.</summary>
    public long SentBytes { get; }
}
