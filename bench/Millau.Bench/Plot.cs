using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Millau.Bench;

/// <summary>Bars, drawn by gnuplot.</summary>
internal static class Plot
{
    // Millau stands out; the others are told apart by lightness as well as by colour.
    private static readonly (string Name, string Color)[] Series =
    [
        ("millau", "#d1495b"), ("nginx", "#2e8b57"), ("haproxy", "#30638e"), ("caddy", "#9fb8d0"), ("yarp", "#b9b4c7"),
    ];

    private static readonly (string Workload, string Label)[] Loads =
    [
        ("json", "JSON GET"), ("one", "one connection"), ("close", "a connection\\neach"), ("get100k", "100 KB GET"),
        ("post5m", "5 MB POST"), ("https", "https"), ("h2", "HTTP/2"), ("handshake-ecdsa", "handshake\\nECDSA"), ("handshake-rsa", "handshake\\nRSA"),
    ];

    /// <summary>Draws what there are figures for; returns the files' names.</summary>
    public static IEnumerable<(string File, string Title)> Draw(Figures figures, string directory)
    {
        var loads = Loads.Where(l => figures.Has(l.Workload)).ToArray();
        if (loads.Length > 0)
            yield return Bars(directory, "cpu.png", "CPU time a request, relative to nginx (less is better)", "÷ nginx",
                [.. loads.Select(l => l.Label)],
                (series, i) => figures.Ratio(loads[i].Workload, Subject(figures, loads[i].Workload, series), Subject(figures, loads[i].Workload, "nginx"), Measures.Cpu),
                "set logscale y 2\nset yrange [0.25:8]\nset ytics (0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 4, 8)\nset arrow from graph 0, first 1 to graph 1, first 1 nohead lc rgb '#2e8b57' lw 1.5 dt 2\n", "0.00");
        string[] latencies = [Measures.Least, Measures.Median, Measures.Mean, Measures.P99];
        if (figures.Has("json"))
            yield return Bars(directory, "latency.png", "Latency of a JSON GET, 64 connections (less is better)", "milliseconds",
                ["least", "median", "mean", "99th percentile"], (series, i) => figures.Median("json", series, latencies[i]), "", "0.0");
        (string Workload, string Label)[] rates = [("json", "one core for the proxy"), ("all-cores", "all cores shared with\\nclient and origin")];
        if (figures.Has("json"))
            yield return Bars(directory, "throughput.png", "JSON GET, 64 connections, requests a second (more is better)", "thousands a second",
                [.. rates.Where(r => figures.Has(r.Workload)).Select(r => r.Label)],
                (series, i) => figures.Median(rates[i].Workload, series, Measures.RequestsPerSecond) / 1000, "", "0.0");
        (string Measure, string Label)[] states = [(MemoryBench.Idle, "idle"), (MemoryBench.Loaded, "64 busy clients"), (MemoryBench.After, "after 10,000 clients\\nhave gone")];
        if (figures.Has(MemoryBench.Name))
            yield return Bars(directory, "memory.png", "Resident memory (less is better)", "MB",
                [.. states.Select(s => s.Label)], (series, i) => figures.Median(MemoryBench.Name, series, states[i].Measure), "", "0");
    }

    /// <summary>Where a proxy ran in several ways, the cheapest.</summary>
    private static string Subject(Figures figures, string workload, string name) => figures.Best(workload, Measures.Cpu, name) ?? name;

    private static (string, string) Bars(
        string directory, string file, string title, string axis, string[] groups, Func<string, int, double> value, string more, string format)
    {
        var data = new StringBuilder();
        var shown = Series.Where(s => Enumerable.Range(0, groups.Length).Any(i => !double.IsNaN(value(s.Name, i)))).ToArray();
        for (var i = 0; i < groups.Length; i++)
            data.Append('"').Append(groups[i]).Append('"')
                .AppendJoin("", shown.Select(s => " " + (value(s.Name, i) is var v && double.IsNaN(v) ? "NaN" : v.ToString("0.####", CultureInfo.InvariantCulture))))
                .Append('\n');
        var width = 0.84 / shown.Length;
        var script = new StringBuilder($"""
            set terminal pngcairo size {Math.Max(900, 195 * groups.Length)},440 font 'DejaVu Sans,11' background rgb '#ffffff'
            set output '{Path.Combine(directory, file)}'
            set title "{title}" font ',13' offset 0,0.4
            set ylabel '{axis}'
            set style fill solid 1 noborder
            set boxwidth {width * 0.94:0.####}
            set border 3 lc rgb '#888888'
            set tics nomirror textcolor rgb '#333333'
            set grid ytics lc rgb '#e2e2e2' lt 1
            set xrange [-0.5:{groups.Length - 0.5:0.#}]
            set yrange [0:*]
            set offsets 0, 0, graph 0.08, 0
            set key outside right top vertical Left reverse spacing 1.25
            set bmargin 3.2
            set xtics scale 0 ({string.Join(", ", groups.Select((g, i) => $"\"{g}\" {i}"))})
            {more}$data << END
            {data}END

            """);
        var plots = shown.Select((s, i) =>
        {
            var x = $"($0{(i - (shown.Length - 1) / 2.0) * width:+0.####;-0.####;+0})";
            return $"$data using {x}:{i + 2} with boxes lc rgb '{s.Color}' title '{s.Name}', "
                + $"$data using {x}:{i + 2}:(stringcolumn({i + 2}) eq 'NaN' ? '' : gprintf('%.{format.Length - Math.Max(1, format.IndexOf('.') + 1)}f', ${i + 2})) "
                + "with labels font ',8' offset 0,0.5 textcolor rgb '#444444' notitle";
        });
        script.Append("plot ").AppendJoin(", \\\n  ", plots).Append('\n');
        using var gnuplot = Process.Start(new ProcessStartInfo("gnuplot") { RedirectStandardInput = true, RedirectStandardError = true })!;
        var error = gnuplot.StandardError.ReadToEndAsync();
        gnuplot.StandardInput.Write(script);
        gnuplot.StandardInput.Close();
        if (!gnuplot.WaitForExit(TimeSpan.FromSeconds(30)) || gnuplot.ExitCode != 0)
            throw new InvalidOperationException($"gnuplot could not draw {file}: {error.Result}");
        return (file, title);
    }
}
