using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Millau.Async;
using Millau.Discovery;
using Millau.Http1;
using Millau.Routing;
using Millau.Tls.Acme;
using Millau.Transport;
using Millau.Upstreams;

namespace Millau.Forwarding;

/// <summary>
/// Takes one request from the client to an instance and the answer back.
/// <list type="number">
/// <item>Check the request; refuse what must not go on. A certificate authority that looks for our challenge has its answer.</item>
/// <item>Match it with the routes as they stand; a plain request of a route that is for https ends here, and one without the
/// client certificate that its route demands.</item>
/// <item>Choose an instance, maybe of another route, with its own demand; wait if one is on its way up and none can be had.</item>
/// <item>Attempt: take a connection, send the request, receive a response head.</item>
/// <item>If the attempt failed, judge the instance, and go back to 2 if the request may be sent again.</item>
/// <item>Relay the answer. Nothing is retried after that.</item>
/// </list>
/// </summary>
internal sealed class Forwarder(
    LiveRoutes routes, Availability availability, Parking parking, UpstreamHeartbeat heartbeat, ResponseRelay relay,
    HttpsRedirect redirect, ClientCertificateRule certificates, Challenges challenges, RequestWatch watch, TrustedProxies? trusted,
    ILogger logger)
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(1);

    // A server that asks for Expect but never says 100 gets the body all the same (RFC 9110 section 10.1.1).
    private static readonly TimeSpan ContinueTimeout = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan LastCallTimeout = TimeSpan.FromSeconds(1);

    private const int MaxInterimResponses = 16;

    [AsyncMethodBuilder(typeof(KeptMethodBuilder))]
    public async ValueTask ForwardAsync(RequestContext context)
    {
        // 1.
        trusted?.Apply(context);
        if (RequestRules.Check(context) is { } refusal)
        {
            await RefuseAsync(context, refusal.Status, refusal.Reason).ConfigureAwait(false);
            return;
        }
        if (challenges.FindFile(context.Target.Path.Span) is { } file && context.Exchange.Method is "GET" or "HEAD")
        {
            await Responses.WriteAsync(context, StatusCodes.Status200OK, file).ConfigureAwait(false);
            return;
        }
        if (!Prepare(context))
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "Bad request: a header field has a character that is not allowed")
                .ConfigureAwait(false);
            return;
        }
        Parking.Ticket? ticket = null;
        try
        {
            var state = new Progress();
            while (!context.ClientGone)
            {
                // 2. The version is read first: a change after it ends the wait at once.
                var version = availability.Version;
                var walk = routes.Table.Match(context.Host, context.Target.Path);
                if (walk.Current is null && state.LastFailure == AttemptFailure.None)
                {
                    await Responses.WriteAsync(context, StatusCodes.Status502BadGateway, "No matching services found")
                        .ConfigureAwait(false);
                    return;
                }
                if (walk.Current is { Group.RedirectsToHttps: true } && redirect.Applies(context))
                {
                    await redirect.WriteAsync(context).ConfigureAwait(false);
                    return;
                }
                if (walk.Current is { } best && certificates.Check(context, best.Group) is { } demand)
                {
                    await RefuseWithoutCloseAsync(context, demand).ConfigureAwait(false);
                    return;
                }
                context.Outcome.Route ??= walk.Current?.Path;
                context.Outcome.Service ??= walk.Current?.Group.Services[0];

                // 3.
                var triedLeftOut = state.TriedLeftOut;
                string? service = null;
                var instance = state.Again ?? InstanceSelector.Choose(
                    walk, context.Tried, context.IsRepeatable, ref state.TriedLeftOut, out state.Group, out service);
                if (instance is null)
                {
                    if (service is null)
                    {
                        await GiveUpAsync(context, state.LastFailure).ConfigureAwait(false);
                        return;
                    }
                    context.EndRepeat();
                    ticket ??= parking.TryEnter(service, context.Writer.Length + context.Body.KeptBytes);
                    if (ticket is null || !await WaitAsync(context, ticket, version).ConfigureAwait(false))
                    {
                        await Responses.UnavailableAsync(context, "The service is starting, try again").ConfigureAwait(false);
                        return;
                    }
                    continue;
                }
                ticket?.Dispose();
                ticket = null;
                // For an instance that is tried again the group is still the one that it was chosen from.
                if (certificates.Check(context, state.Group!) is { } ofGroup)
                {
                    await RefuseWithoutCloseAsync(context, ofGroup).ConfigureAwait(false);
                    return;
                }
                context.SendsCertificate = !state.Group!.ClientAuthorities.IsEmpty;

                // What was sent before takes one of the turns that there are for that. After a wait all may be different.
                if (state.WasSent && !context.IsRepeated && !TakeTurn(context, instance))
                {
                    if (!await WaitForTurnAsync(context, instance).ConfigureAwait(false))
                    {
                        await GiveUpAsync(context, state.LastFailure).ConfigureAwait(false);
                        return;
                    }
                    state.TriedLeftOut = triedLeftOut;
                    if (instance.IsRetired) state.Again = null;
                    continue;
                }

                // 4. to 6.
                var failure = AttemptFailure.None;
                string? reason = null;
                var connection = BeginAttempt(context, instance, fresh: state.Again is not null);
                try
                {
                    if (connection is null)
                        (connection, failure, reason) = await ConnectAsync(instance, context.Client.Loop).ConfigureAwait(false);
                    if (connection is not null) failure = await ExchangeAsync(context, connection).ConfigureAwait(false);
                    // A connection that has done its work may be another request's by now.
                    if (failure != AttemptFailure.None) reason ??= connection?.TlsRefusal ?? RetryRule.Describe(failure);
                }
                finally
                {
                    watch.AttemptEnded(context, failure, reason ?? "");
                }
                if (failure == AttemptFailure.None) return;
                Judge(context, instance, failure, reason!);
                if (context.ClientGone) return;
                if (context.Body.ClientError is { } error) ExceptionDispatchInfo.Throw(error);
                state.LastFailure = failure;
                state.WasSent |= !RetryRule.NothingSent(failure);
                if (!RetryRule.MayRetry(failure, context.IsRepeatable, context.Body.IsReplayable))
                {
                    await GiveUpAsync(context, failure).ConfigureAwait(false);
                    return;
                }
                // An instance that only closed an idle connection has had no attempt: it gets one, on a fresh connection.
                state.Again = failure == AttemptFailure.Stale && !instance.IsRetired ? instance : null;
            }
        }
        finally
        {
            ticket?.Dispose();
        }
    }

    /// <summary>What a request remembers from attempt to attempt, besides the instances it tried.</summary>
    private struct Progress
    {
        public AttemptFailure LastFailure;
        public UpstreamInstance? Again;
        public UpstreamGroup? Group;
        public bool TriedLeftOut;
        public bool WasSent;
    }

    // Serializes the head once for all attempts. False if it cannot be.
    private static bool Prepare(RequestContext context)
    {
        var exchange = context.Exchange;
        if (exchange.Method == "CONNECT")
        {
            // Of these only WebSocket gets here. What the client sends behind it is no body but goes through the tunnel.
            context.Upgrade = WebSocketHandshake.Protocol;
            context.WebSocketKey = WebSocketHandshake.NewKey();
            context.IsRepeatable = true;
        }
        else
        {
            context.Upgrade = RequestHead.ReadUpgrade(context);
            // What the client may have sent already in the protocol it asks for is no request in this one.
            if (context.Upgrade is not null) exchange.CloseAfterAnswer();
            context.IsRepeatable = RetryRule.IsIdempotent(exchange.Method) || exchange.Fields.Has(FieldName.IdempotencyKey);
            context.Body.Begin(exchange, keep: context.IsRepeatable);
        }
        context.ExpectsContinue = context.Body.Exists && exchange.Fields.Has(FieldName.Expect)
            && Ascii.EqualsIgnoreCase(exchange.Fields.First(FieldName.Expect), "100-continue"u8);
        RequestHead.Write(context);
        if (!context.Writer.IsValid) return false;
        if (!context.ExpectsContinue) context.Body.AppendTo(context.Writer);
        return true;
    }

    private async ValueTask<bool> WaitAsync(RequestContext context, Parking.Ticket ticket, long version)
    {
        var since = watch.Now;
        try
        {
            return await ticket.WaitAsync(version, context.ClientGoneToken).ConfigureAwait(false);
        }
        finally
        {
            watch.Waited(context, since);
        }
    }

    private static bool TakeTurn(RequestContext context, UpstreamInstance instance)
    {
        var budget = instance.Service.Retries;
        if (!budget.TryTake()) return false;
        context.BeginRepeat(budget);
        return true;
    }

    private static async ValueTask<bool> WaitForTurnAsync(RequestContext context, UpstreamInstance instance)
    {
        var budget = instance.Service.Retries;
        if (!await budget.TakeAsync(context.ClientGoneToken).ConfigureAwait(false)) return false;
        context.BeginRepeat(budget);
        return true;
    }

    // 4. Null if there is no connection that waits for a request.
    private UpstreamConnection? BeginAttempt(RequestContext context, UpstreamInstance instance, bool fresh)
    {
        if (!fresh) context.Tried.Add(instance);
        watch.AttemptStarted(context, instance);
        if (context.ClientSpan is { } span) TraceContext.SetParent(context, span);
        // A second idle connection may have ended as the first one did.
        var connection = fresh ? null : RentIdle(instance, context.Client.Loop);
        context.IsConnectionReused = connection is not null;
        return connection;
    }

    // 5. Who is to blame.
    private void Judge(RequestContext context, UpstreamInstance instance, AttemptFailure failure, string reason)
    {
        if (context.IsAbandoned) return;
        Log.AttemptFailed(logger, context.Exchange.Method, context.Host, instance.Service.Name, instance.Name, reason);
        if (!RetryRule.BlamesInstance(failure) || !instance.LeaveOut()) return;
        watch.InstanceLeftOut(instance, failure);
        // That one which is to stop fails is no news.
        if (instance.Phase == InstancePhase.Running)
            Log.InstanceLeftOut(logger, instance.Service.Name, instance.Name, instance.EndPoint, reason,
                instance.Service.Retry.TotalSeconds);
    }

    private static UpstreamConnection? RentIdle(UpstreamInstance instance, EventLoop? loop)
    {
        while (instance.Pool.TryRent(loop) is { } connection)
        {
            if (!connection.IsSpoilt && connection.IsCurrent) return connection;
            connection.Dispose();
        }
        return null;
    }

    // The words are for the log, where there are better ones than those for the kind of failure.
    private async ValueTask<(UpstreamConnection?, AttemptFailure, string?)> ConnectAsync(UpstreamInstance instance, EventLoop? loop)
    {
        UpstreamConnection connection;
        try
        {
            connection = new UpstreamConnection(instance, heartbeat, loop);
        }
        catch (SocketException e)
        {
            Log.NoSocket(logger, e.SocketErrorCode);
            return (null, AttemptFailure.Local, null);
        }
        var result = await connection.ConnectAsync(ConnectTimeout).ConfigureAwait(false);
        if (result.IsConnected) return (connection, AttemptFailure.None, null);
        connection.Dispose();
        return (null, result.Error switch
        {
            SocketError.Success => AttemptFailure.Tls,
            SocketError.TimedOut => AttemptFailure.ConnectTimeout,
            SocketError.AddressNotAvailable or SocketError.AddressAlreadyInUse or SocketError.NoBufferSpaceAvailable
                or SocketError.TooManyOpenSockets => AttemptFailure.Local,
            _ => AttemptFailure.Connect,
        }, result.TlsFailure);
    }

    // Owns the connection: when this returns it is in the pool or closed.
    [AsyncMethodBuilder(typeof(KeptMethodBuilder<>))]
    private async ValueTask<AttemptFailure> ExchangeAsync(RequestContext context, UpstreamConnection connection)
    {
        var reusable = false;
        var budget = connection.Instance.Service.Retries;
        budget.Begin();
        try
        {
            if (!context.Hold(connection)) return AttemptFailure.Closed;
            var timeout = connection.Instance.Service.Timeout;
            connection.SetDeadline(timeout);
            // A failed send is no verdict yet: the instance may have answered before it stopped reading.
            await SendHead(context, connection).ConfigureAwait(false);
            HeadFailure? noHead = null;
            if (!context.ExpectsContinue)
            {
                if (!context.Body.IsSentWithHead) context.Body.Start(connection, timeout);
                connection.BeginHead();
                while (!connection.TryReadHead(out noHead)) connection.EndFill(await connection.StartFill().ConfigureAwait(false));
            }
            var failure = noHead is { } why
                ? ToFailure(connection, why)
                : await ReadFinalHeadAsync(context, connection, timeout).ConfigureAwait(false);
            if (failure != AttemptFailure.None) return failure;

            // 6.
            context.Body.Answered(connection);
            context.EndRepeat();
            watch.AttemptAnswered(context, connection.Head.Status);
            if (connection.Head.Status == StatusCodes.Status101SwitchingProtocols)
            {
                await ProtocolSwitch.RunAsync(context, connection, relay).ConfigureAwait(false);
                return AttemptFailure.None;
            }
            if (ProtocolSwitch.IsMistakable(context, connection))
            {
                await Responses.WriteAsync(context, StatusCodes.Status502BadGateway, "The instance did not open a WebSocket")
                    .ConfigureAwait(false);
                return AttemptFailure.None;
            }
            var result = await relay.RelayAsync(context, connection).ConfigureAwait(false);
            if (result is RelayResult.Broken or RelayResult.ClientGone)
            {
                // A client that has gone, or whose own body was broken, has ended the exchange itself.
                if (result == RelayResult.Broken && !context.ClientGone && context.Body.ClientError is null)
                {
                    context.Outcome.IsCut = true;
                    Log.ResponseCut(logger, connection.Instance.Service.Name, connection.Instance.Name, context.Host);
                }
                else
                {
                    context.Outcome.ClientGone = true;
                }
                context.Exchange.Abort();
            }
            reusable = result == RelayResult.Reusable;
            return AttemptFailure.None;
        }
        finally
        {
            // A body that is still on its way ends with its connection, except for its last call, which is about to return.
            if (!context.Body.IsSent)
            {
                if (reusable && context.Body.IsEnding) connection.SetDeadline(LastCallTimeout);
                else connection.Abort();
            }
            reusable &= await context.Body.StopAsync().ConfigureAwait(false) && connection.ClearDeadline();
            context.LetGo();
            budget.End();
            if (reusable && !context.ClientGone) connection.Instance.Pool.Return(connection);
            else connection.Dispose();
        }
    }

    private static ValueTask<int> SendHead(RequestContext context, UpstreamConnection connection) =>
        context.Certificate is null || context.SendsCertificate
            ? connection.SendAsync(context.Writer.Written)
            : connection.SendAsync(context.Writer.WrittenWithoutOptional);

    // Nearly always it is there by now.
    private static ValueTask<AttemptFailure> ReadFinalHeadAsync(RequestContext context, UpstreamConnection connection, TimeSpan timeout) =>
        context.ExpectsContinue || connection.Head.IsInterim
            ? ReadInterimHeadsAsync(context, connection, timeout, context.ExpectsContinue)
            : new(IsWrongSwitch(context, connection) ? AttemptFailure.BrokenResponse : AttemptFailure.None);

    // What there may be before it: a client that waits to be asked for the body, and interim heads, of which the first is there if no
    // client waits.
    private static async ValueTask<AttemptFailure> ReadInterimHeadsAsync(
        RequestContext context, UpstreamConnection connection, TimeSpan timeout, bool awaitsContinue)
    {
        var body = context.Body;
        var isThere = !awaitsContinue;
        for (var interim = 0; ; interim++)
        {
            if (!isThere)
            {
                var head = connection.ReadHeadAsync();
                if (awaitsContinue && !head.IsCompleted)
                {
                    var received = head.AsTask();
                    if (await Task.WhenAny(received, Task.Delay(ContinueTimeout)).ConfigureAwait(false) != received)
                    {
                        awaitsContinue = false;
                        await context.Exchange.ContinueAsync().ConfigureAwait(false);
                        body.Start(connection, timeout);
                    }
                    head = new(received);
                }
                if (await head.ConfigureAwait(false) is { } failure) return ToFailure(connection, failure);
            }
            isThere = false;
            if (IsWrongSwitch(context, connection)) return AttemptFailure.BrokenResponse;
            if (!connection.Head.IsInterim) return AttemptFailure.None;
            if (interim == MaxInterimResponses) return AttemptFailure.BrokenResponse;
            // It is at work: its time begins anew. While a body is on its way, that keeps the time.
            if (body.IsSent) connection.SetDeadline(timeout);
            if (connection.Head.Status == StatusCodes.Status100Continue)
            {
                if (awaitsContinue)
                {
                    await context.Exchange.ContinueAsync().ConfigureAwait(false);
                    body.Start(connection, timeout);
                }
                awaitsContinue = false;
            }
            else
            {
                await Responses.ForwardInterimAsync(context, connection).ConfigureAwait(false);
            }
        }
    }

    // A switch of protocols that nobody asked for, or to another one.
    private static bool IsWrongSwitch(RequestContext context, UpstreamConnection connection) =>
        connection.Head.Status == StatusCodes.Status101SwitchingProtocols && !ProtocolSwitch.IsRight(context, connection);

    private static AttemptFailure ToFailure(UpstreamConnection connection, HeadFailure failure) =>
        connection.TimedOut ? AttemptFailure.Timeout : failure switch
        {
            HeadFailure.Broken => AttemptFailure.BrokenResponse,
            HeadFailure.Closed when connection is { IsReused: false, TlsRefusal: not null } => AttemptFailure.Tls,
            HeadFailure.Closed when connection.IsReused => AttemptFailure.Stale,
            _ => AttemptFailure.Closed,
        };

    private static Task GiveUpAsync(RequestContext context, AttemptFailure failure) => failure switch
    {
        AttemptFailure.None => Responses.WriteAsync(context, StatusCodes.Status502BadGateway, "No instance is available"),
        AttemptFailure.Timeout or AttemptFailure.ConnectTimeout =>
            Responses.WriteAsync(context, StatusCodes.Status504GatewayTimeout, "No instance answered: " + RetryRule.Describe(failure)),
        _ => Responses.WriteAsync(context, StatusCodes.Status502BadGateway, "No instance answered: " + RetryRule.Describe(failure)),
    };

    // Nothing on the connection is in doubt.
    private Task RefuseWithoutCloseAsync(RequestContext context, Refusal refusal)
    {
        Log.Refused(logger, context.ClientAddress, refusal.Reason);
        return Responses.WriteAsync(context, refusal.Status, refusal.Reason);
    }

    private Task RefuseAsync(RequestContext context, int status, string reason)
    {
        Log.Refused(logger, context.ClientAddress, reason);
        context.Exchange.CloseAfterAnswer();
        return Responses.WriteAsync(context, status, reason);
    }
}
