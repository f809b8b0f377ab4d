using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Millau.Transport;

/// <summary>Connections on the framework's sockets: where there are no event loops, or none are to be held up.</summary>
internal sealed class SocketTransport(ILoggerFactory logging) : ITransport
{
    public async ValueTask<IAccepting> ListenAsync(Socket socket, AcceptedConnection accepted)
    {
        var options = new SocketTransportOptions
        {
            // Continuations run on the thread that saw the socket become ready: nothing on a request's way blocks, and each hop to
            // another thread costs more than the work itself.
            UnsafePreferInlineScheduling = true,
            // A flush is over when the kernel has all of it: its buffers are enough, and so the end of a connection is known.
            MaxWriteBufferSize = 1,
            CreateBoundListenSocket = _ => socket,
        };
        var factory = new SocketTransportFactory(Options.Create(options), logging);
        return new Accepting(await factory.BindAsync(socket.LocalEndPoint!).ConfigureAwait(false), accepted);
    }

    private sealed class Accepting : IAccepting
    {
        private readonly IConnectionListener _listener;
        private readonly Task _accepting;

        public Accepting(IConnectionListener listener, AcceptedConnection accepted)
        {
            _listener = listener;
            _accepting = AcceptAsync(listener, accepted);
        }

        public async Task CloseAsync()
        {
            await _listener.UnbindAsync().ConfigureAwait(false);
            await _accepting.ConfigureAwait(false);
        }

        public async ValueTask DisposeAsync()
        {
            try
            {
                await CloseAsync().ConfigureAwait(false);
            }
            finally
            {
                await _listener.DisposeAsync().ConfigureAwait(false);
            }
        }

        private static async Task AcceptAsync(IConnectionListener listener, AcceptedConnection accepted)
        {
            while (await listener.AcceptAsync().ConfigureAwait(false) is { } connection)
            {
                var socket = connection.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket;
                connection.Features.Set<IHalfClose>(new HalfClose(socket));
                if (accepted(connection) is { } service) ThreadPool.UnsafeQueueUserWorkItem(service, preferLocal: false);
            }
        }
    }

    private sealed class HalfClose(Socket socket) : IHalfClose
    {
        // Nobody counts them here.
        public long SentBytes => long.MaxValue;

        public void ShutdownSend()
        {
            try
            {
                socket.Shutdown(SocketShutdown.Send);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // It has gone.
            }
        }
    }
}
