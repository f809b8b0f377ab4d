using System.Diagnostics;
using System.Globalization;
using Prometheus;

namespace Millau.Telemetry.Metrics;

/// <summary>
/// What the process takes, under the names that Prometheus clients share, and what the collector of garbage does, under
/// those of .NET clients. Looked up in <c>/proc</c> and the runtime at each scrape; nothing is collected in between.
/// </summary>
internal static class ProcessMetrics
{
    private const string Descriptors = "/proc/self/fd";
    private const string Limits = "/proc/self/limits";

    public static void Add(MetricsRegistry metrics)
    {
        var cpu = metrics.Counter("process_cpu_seconds_total", "Processor time, user and system.");
        var resident = metrics.Gauge("process_resident_memory_bytes", "Resident memory.");
        var @virtual = metrics.Gauge("process_virtual_memory_bytes", "Virtual memory.");
        var started = metrics.Gauge("process_start_time_seconds", "Start of the process, since the Unix epoch.");
        var open = metrics.Rows("process_open_fds", "Descriptors that are open.");
        var most = metrics.Rows("process_max_fds", "Descriptors that may be open.");
        var collections = metrics.Counter("dotnet_collection_count_total", "Collections of garbage.", "generation");
        var pauses = metrics.Counter("dotnet_gc_pause_seconds_total", "Time that collections held the process up.");
        var allocated = metrics.Counter("dotnet_gc_allocated_bytes_total", "Bytes allocated.");
        var heap = metrics.Gauge("dotnet_total_memory_bytes", "Bytes in use on the collected heap, garbage not yet collected included.");
        var committed = metrics.Gauge("dotnet_gc_committed_memory_bytes", "Bytes that the collected heap holds of the system.");
        var threads = metrics.Gauge("dotnet_threadpool_threads", "Threads of the pool.");
        var queue = metrics.Gauge("dotnet_threadpool_queue_length", "Work that waits for a thread of the pool.");
        var contentions = metrics.Counter("dotnet_lock_contentions_total", "Waits for a lock that another thread held.");
        var generations = Enumerable.Range(0, GC.MaxGeneration + 1)
            .Select(g => collections.WithLabels(g.ToString(CultureInfo.InvariantCulture))).ToArray();
        using (var process = Process.GetCurrentProcess())
            started.Set((process.StartTime.ToUniversalTime() - DateTime.UnixEpoch).TotalSeconds);

        metrics.BeforeScrape(() =>
        {
            using var process = Process.GetCurrentProcess();
            cpu.IncTo(process.TotalProcessorTime.TotalSeconds);
            resident.Set(process.WorkingSet64);
            @virtual.Set(process.VirtualMemorySize64);
            // Not on every system, and not in every container.
            if (Count(Descriptors) is { } count) open.Set(count);
            if (MaxDescriptors() is { } limit) most.Set(limit);
            for (var i = 0; i < generations.Length; i++) generations[i].IncTo(GC.CollectionCount(i));
            pauses.IncTo(GC.GetTotalPauseDuration().TotalSeconds);
            allocated.IncTo(GC.GetTotalAllocatedBytes());
            heap.Set(GC.GetTotalMemory(forceFullCollection: false));
            committed.Set(GC.GetGCMemoryInfo().TotalCommittedBytes);
            threads.Set(ThreadPool.ThreadCount);
            queue.Set(ThreadPool.PendingWorkItemCount);
            contentions.IncTo(Monitor.LockContentionCount);
        });
    }

    private static int? Count(string directory)
    {
        try
        {
            // Less the one that the counting itself opens.
            return Directory.EnumerateFileSystemEntries(directory).Count() - 1;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static long? MaxDescriptors()
    {
        try
        {
            foreach (var line in File.ReadLines(Limits))
            {
                if (!line.StartsWith("Max open files", StringComparison.Ordinal)) continue;
                var soft = line["Max open files".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
                return long.TryParse(soft, CultureInfo.InvariantCulture, out var limit) ? limit : null;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // As if it were not there.
        }
        return null;
    }
}
