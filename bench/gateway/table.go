package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

func writeTable(out io.Writer, r report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d cores, medians of %d rounds of %g s each; goal: %d µs added at one connection\n", r.CPUs, r.Rounds, r.SecondsEach, r.GoalAddedP50US)
	for _, skipped := range r.Skipped {
		fmt.Fprintln(w, "not measured:", skipped)
	}
	for _, s := range r.Scenes {
		for _, l := range s.Levels {
			fmt.Fprintf(w, "\n%s, %d connections\n", s.Servers, l.Connections)
			fmt.Fprintln(w, "route\tp50 µs\tadded\tp99 µs\tadded\trequests/s\tCPU µs\tgateway's throughput over it\t")
			for _, f := range l.Routes {
				fmt.Fprintf(w, "%s\t%.1f\t%+.1f\t%.0f\t%+.0f\t%.0f\t%.1f\t%.2f\t\n", f.Route, f.P50US, f.AddedP50US, f.P99US, f.AddedP99US, f.PerSecond, f.CPUUS, f.Throughput)
			}
		}
	}
	return w.Flush()
}
