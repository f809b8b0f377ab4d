using System.Globalization;
using Millau.Forwarding;
using Millau.Ingress;
using Prometheus;

namespace Millau.Telemetry.Metrics;

/// <summary>
/// What is counted for one service, as long as it is known. Rows appear when there is something to count, so that a
/// thousand services of which a few are used cost little.
/// </summary>
internal sealed class ServiceRows(ServiceCounters counters, string service)
{
    private readonly Lock _lock = new();
    private readonly List<ChildBase> _rows = [];
    private readonly MethodRows?[] _methods = new MethodRows?[MethodLabel.Count];
    private readonly Counter.Child?[] _attempts = new Counter.Child?[OutcomeLabel.Count];
    private readonly Counter.Child?[] _putAside = new Counter.Child?[OutcomeLabel.Count];
    private (string Port, Counter.Child Requests)[] _topology = [];
    private bool _removed;

    public MethodRows Of(int method) => Volatile.Read(ref _methods[method]) ?? AddMethod(method);

    public Counter.Child Attempts(int outcome) =>
        Volatile.Read(ref _attempts[outcome]) ?? Add(_attempts, outcome, counters.Attempts);

    public Counter.Child PutAside(AttemptFailure failure) =>
        Volatile.Read(ref _putAside[(int)failure]) ?? Add(_putAside, (int)failure, counters.PutAside);

    /// <summary>Requests that came in at a port.</summary>
    public Counter.Child From(Listener listener)
    {
        foreach (var (port, requests) in Volatile.Read(ref _topology))
            if (ReferenceEquals(port, listener.Port)) return requests;
        lock (_lock)
        {
            var row = Keep(counters.Topology.WithLabels($"{listener.Port}-{service}", listener.Port, service));
            Volatile.Write(ref _topology, [.. _topology, (listener.Port, row)]);
            return row;
        }
    }

    /// <summary>Takes all rows away: the service is not known any more. Requests that are still under way count nowhere.</summary>
    public void Remove()
    {
        lock (_lock)
        {
            _removed = true;
            foreach (var row in _rows) row.Remove();
            _rows.Clear();
        }
    }

    private MethodRows AddMethod(int method)
    {
        lock (_lock) return _methods[method] ??= new MethodRows(this, MethodLabel.Name(method));
    }

    private Counter.Child Add(Counter.Child?[] rows, int outcome, Counter counter)
    {
        lock (_lock) return rows[outcome] ??= Keep(counter.WithLabels(OutcomeLabel.Name(outcome), service));
    }

    // Under the lock.
    private T Keep<T>(T row)
        where T : ChildBase
    {
        if (_removed) row.Remove();
        else _rows.Add(row);
        return row;
    }

    /// <summary>What is counted for one method of the service.</summary>
    internal sealed class MethodRows
    {
        // An instance that answers what it is asked for, as some test servers do, must not make rows without end.
        private const int MostCodes = 40;

        private readonly ServiceRows _owner;
        private readonly string _method;
        private (int Status, Counter.Child Requests)[] _codes = [];
        private Histogram.Child? _duration;

        /// <summary>With zeros where something is nearly always zero, so that a rate exists before the first one.</summary>
        public MethodRows(ServiceRows owner, string method)
        {
            _owner = owner;
            _method = method;
            Failed = Row(owner.Counters.Failed);
            Aborted = Row(owner.Counters.Aborted);
            Retries = Row(owner.Counters.Retries);
            RequestBytes = Row(owner.Counters.RequestBytes);
            ResponseBytes = Row(owner.Counters.ResponseBytes);
        }

        public Counter.Child Failed { get; }
        public Counter.Child Aborted { get; }
        public Counter.Child Retries { get; }
        public Counter.Child RequestBytes { get; }
        public Counter.Child ResponseBytes { get; }

        public Histogram.Child Duration => Volatile.Read(ref _duration) ?? AddDuration();

        /// <summary>Requests that were answered with a status; beyond some forty different ones all are <c>OTHER</c>.</summary>
        public Counter.Child Successful(int status)
        {
            foreach (var (code, requests) in Volatile.Read(ref _codes))
                if (code == status) return requests;
            return AddCode(status);
        }

        private Counter.Child AddCode(int status)
        {
            lock (_owner._lock)
            {
                if (_codes.Length >= MostCodes) status = 0;
                foreach (var (known, requests) in _codes)
                    if (known == status) return requests;
                var code = status == 0 ? "OTHER" : status.ToString(CultureInfo.InvariantCulture);
                var row = _owner.Keep(_owner.Counters.Successful.WithLabels(code, _method, _owner.Service));
                Volatile.Write(ref _codes, [.. _codes, (status, row)]);
                return row;
            }
        }

        private Histogram.Child AddDuration()
        {
            lock (_owner._lock)
                return _duration ??= _owner.Keep(_owner.Counters.Duration.WithLabels(_method, _owner.Service));
        }

        private Counter.Child Row(Counter counter) => _owner.Keep(counter.WithLabels(_method, _owner.Service));
    }

    private ServiceCounters Counters => counters;

    private string Service => service;
}
