using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Millau.Async;
using Millau.Ingress;

namespace Millau.Forwarding;

/// <summary>What the listeners call for each request: the one place where a request's exceptions end.</summary>
internal sealed class ProxyApplication(Forwarder forwarder, RequestWatch watch, ILogger logger) : IRequestHandler
{
    private volatile bool _draining;

    /// <summary>From now on each response asks its client to close the connection.</summary>
    public void Drain() => _draining = true;

    [AsyncMethodBuilder(typeof(KeptMethodBuilder))]
    public async ValueTask HandleAsync(Exchange exchange)
    {
        // Kept with the connection or stream, so that it is made once for all their requests.
        if (exchange.State is not RequestContext context) exchange.State = context = new RequestContext(exchange);
        context.Begin();
        if (_draining) exchange.AskToLeave();
        watch.RequestStarted(context);
        try
        {
            await forwarder.ForwardAsync(context).ConfigureAwait(false);
        }
        catch (Exception e) when (context.ClientGone || e is ConnectionAbortedException or ConnectionResetException)
        {
            Log.ClientGone(logger, context.ClientAddress, context.Host);
        }
        catch (Exception e) when (e is BadHttpRequestException or IOException && !exchange.HasStarted)
        {
            Log.Refused(logger, context.ClientAddress, e.Message);
            exchange.CloseAfterAnswer();
            var status = e is BadHttpRequestException bad ? bad.StatusCode : StatusCodes.Status400BadRequest;
            await Responses.WriteAsync(context, status, "Bad request: the body is broken or too slow").ConfigureAwait(false);
        }
        catch (Exception e) when (e is BadHttpRequestException or IOException)
        {
            Log.Refused(logger, context.ClientAddress, e.Message);
            exchange.Abort();
        }
        catch (Exception e)
        {
            Log.RequestFailed(logger, e, exchange.Method, context.Host);
            if (exchange.HasStarted) exchange.Abort();
            else await Responses.WriteAsync(context, StatusCodes.Status500InternalServerError, "Internal error").ConfigureAwait(false);
        }
        finally
        {
            watch.RequestEnded(context, exchange.Status);
            context.End();
        }
    }
}
