using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Millau.Forwarding;

/// <summary>What Kestrel calls for each request: the one place where a request's exceptions end.</summary>
internal sealed class ProxyApplication(Forwarder forwarder, RequestWatch watch, ILogger logger) : IHttpApplication<RequestContext>
{
    private volatile bool _draining;

    /// <summary>From now on each response asks its client to close the connection.</summary>
    public void Drain() => _draining = true;

    public RequestContext CreateContext(IFeatureCollection contextFeatures)
    {
        RequestContext context;
        // Kestrel keeps the context with its connection or stream, so that it is made once for all their requests.
        if (contextFeatures is IHostContextContainer<RequestContext> container)
            context = container.HostContext ??= new RequestContext(contextFeatures);
        else
            context = new RequestContext(contextFeatures);
        context.Begin();
        return context;
    }

    public async Task ProcessRequestAsync(RequestContext context)
    {
        if (_draining) context.AskToLeave();
        var refused = 0;
        watch.RequestStarted(context);
        try
        {
            await forwarder.ForwardAsync(context).ConfigureAwait(false);
        }
        catch (Exception e) when (context.ClientGone || e is ConnectionAbortedException or ConnectionResetException)
        {
            Log.ClientGone(logger, context.ClientAddress, context.Host);
        }
        catch (BadHttpRequestException e)
        {
            Log.Refused(logger, context.ClientAddress, e.Message);
            // Kestrel knows the status that belongs to it, if an answer can still be given.
            refused = context.Response.HasStarted ? 0 : e.StatusCode;
            throw;
        }
        catch (IOException e) when (!context.Response.HasStarted)
        {
            // Kestrel has no status for some broken bodies, such as a chunk size that no number holds.
            Log.Refused(logger, context.ClientAddress, e.Message);
            context.CloseAfterAnswer();
            await Responses.WriteAsync(context, StatusCodes.Status400BadRequest, "Bad request: the body is broken").ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Log.RequestFailed(logger, e, context.Request.Method, context.Host);
            if (context.Response.HasStarted) context.AbortClient();
            else await Responses.WriteAsync(context, StatusCodes.Status500InternalServerError, "Internal error").ConfigureAwait(false);
        }
        finally
        {
            watch.RequestEnded(context, refused != 0 ? refused : context.Response.StatusCode);
        }
    }

    public void DisposeContext(RequestContext context, Exception? exception) => context.End();
}
