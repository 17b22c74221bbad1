package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

func writeTable(out io.Writer, r report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%d rows in %d blocks, %d slices, %d resamples, %d models, %d cores\n", r.Rows, r.Blocks, r.Slices, r.Resamples, r.Models, r.Cores)
	fmt.Fprintf(w, "all metrics\t%.3f s\t(%.3f s of processor time)\t%.0f rows/s\tgoal on two cores %.0f s\n\n", r.Seconds, r.CPUSeconds, r.RowsPerSecond, r.GoalSeconds)
	fmt.Fprintln(w, "metric alone\tseconds\tprocessor seconds\tshare of all metrics' processor time")
	for _, m := range r.Metrics {
		fmt.Fprintf(w, "%s\t%.3f\t%.3f\t%.0f %%\n", m.Metric, m.Seconds, m.CPUSeconds, 100*m.Share)
	}
	if p := r.Plain; p != nil {
		fmt.Fprintf(w, "\nplain implementation on %d rows: %.1f s, from %d resamples in %.2f s; this one %.3f s, %.0f times as fast (%.0f times in processor time)\n",
			p.Rows, p.SecondsScaled, p.Resamples, p.SecondsMade, p.OurSeconds, p.Ratio, p.CPURatio)
	}
	return w.Flush()
}
