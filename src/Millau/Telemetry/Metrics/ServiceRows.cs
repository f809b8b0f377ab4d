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
    private readonly List<CounterRow> _rows = [];
    private readonly List<DurationRow> _durations = [];
    private readonly MethodRows?[] _methods = new MethodRows?[MethodLabel.Count];
    private readonly CounterRow?[] _attempts = new CounterRow?[OutcomeLabel.Count];
    private readonly CounterRow?[] _putAside = new CounterRow?[OutcomeLabel.Count];
    private (string Port, CounterRow Requests)[] _topology = [];
    private volatile bool _removed;

    /// <summary>The rows are gone; what is counted here is seen by nobody. Another object may count for the service by now.</summary>
    public bool IsRemoved => _removed;

    public MethodRows Of(int method) => Volatile.Read(ref _methods[method]) ?? AddMethod(method);

    public CounterRow Attempts(int outcome) =>
        Volatile.Read(ref _attempts[outcome]) ?? Add(_attempts, outcome, counters.Attempts);

    public CounterRow PutAside(AttemptFailure failure) =>
        Volatile.Read(ref _putAside[(int)failure]) ?? Add(_putAside, (int)failure, counters.PutAside);

    /// <summary>Requests that came in at a port.</summary>
    public CounterRow From(Listener listener)
    {
        if (Find(listener) is { } known) return known;
        lock (_lock)
        {
            if (Find(listener) is { } added) return added;
            var row = Keep(counters.Topology, $"{listener.Port}-{service}", listener.Port, service);
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
            foreach (var row in _durations) row.Remove();
            _rows.Clear();
            _durations.Clear();
        }
    }

    /// <summary>Before the text is made; one thread at a time.</summary>
    public void HandOver()
    {
        lock (_lock)
        {
            foreach (var row in _rows) row.HandOver();
            foreach (var row in _durations) row.HandOver();
        }
    }

    private CounterRow? Find(Listener listener)
    {
        foreach (var (port, requests) in Volatile.Read(ref _topology))
            if (ReferenceEquals(port, listener.Port)) return requests;
        return null;
    }

    private MethodRows AddMethod(int method)
    {
        lock (_lock) return _methods[method] ??= new MethodRows(this, MethodLabel.Name(method));
    }

    private CounterRow Add(CounterRow?[] rows, int outcome, Counter counter)
    {
        lock (_lock) return rows[outcome] ??= Keep(counter, OutcomeLabel.Name(outcome), service);
    }

    // Under the lock. Once removed it leaves the registry alone: a row of the same labels there is that of a service that came back.
    private CounterRow Keep(Counter counter, params string[] labels)
    {
        var row = new CounterRow(_removed ? null : counter.WithLabels(labels));
        _rows.Add(row);
        return row;
    }

    private DurationRow Keep(Histogram histogram, params string[] labels)
    {
        var row = new DurationRow(_removed ? null : histogram.WithLabels(labels), ServiceCounters.Bounds);
        _durations.Add(row);
        return row;
    }

    /// <summary>What is counted for one method of the service.</summary>
    internal sealed class MethodRows
    {
        // An instance that answers what it is asked for, as some test servers do, must not make rows without end.
        private const int MostCodes = 40;

        private readonly ServiceRows _owner;
        private readonly string _method;
        private (int Status, CounterRow Requests)[] _codes = [];
        private DurationRow? _duration;

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

        public CounterRow Failed { get; }
        public CounterRow Aborted { get; }
        public CounterRow Retries { get; }
        public CounterRow RequestBytes { get; }
        public CounterRow ResponseBytes { get; }

        public DurationRow Duration => Volatile.Read(ref _duration) ?? AddDuration();

        /// <summary>Requests that were answered with a status; beyond some forty different ones all are <c>OTHER</c>.</summary>
        public CounterRow Successful(int status)
        {
            foreach (var (code, requests) in Volatile.Read(ref _codes))
                if (code == status) return requests;
            return AddCode(status);
        }

        private CounterRow AddCode(int status)
        {
            lock (_owner._lock)
            {
                if (_codes.Length >= MostCodes) status = 0;
                foreach (var (known, requests) in _codes)
                    if (known == status) return requests;
                var code = status == 0 ? "OTHER" : status.ToString(CultureInfo.InvariantCulture);
                var row = _owner.Keep(_owner.Counters.Successful, code, _method, _owner.Service);
                Volatile.Write(ref _codes, [.. _codes, (status, row)]);
                return row;
            }
        }

        private DurationRow AddDuration()
        {
            lock (_owner._lock)
                return _duration ??= _owner.Keep(_owner.Counters.Duration, _method, _owner.Service);
        }

        private CounterRow Row(Counter counter) => _owner.Keep(counter, _method, _owner.Service);
    }

    private ServiceCounters Counters => counters;

    private string Service => service;
}
