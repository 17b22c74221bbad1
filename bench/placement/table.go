package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mainspring-ml/mainspring/internal/placement/fit"
)

// published are FGD's own figures at load 130 %, of the lists that we have.
func published() map[string]float64 {
	return map[string]float64{"default": 95.39, "cpu100": 95.35, "cpu250": 93.41, "gpushare60": 91.40, "gpuspec25": 94.74, "multigpu30": 96.46}
}

func writeTable(out io.Writer, results []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "list\tpolicy\tallocated % at 130\tat 100\tidle GPUs\tdecision p50 µs\tp99 µs\tmax µs\tdecisions")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%.2f\t%.0f\t%.1f\t%.1f\t%.1f\t%d\n", r.List, r.Policy, r.AllocatedPct, r.AllocatedAt100, r.IdleGPUs, r.P50, r.P99, r.Max, r.Decisions)
	}
	return w.Flush()
}

// writeMarkdown prints a row for each list and a column for each policy.
func writeMarkdown(out io.Writer, results []result, policies []fit.Policy) error {
	fmt.Fprintf(out, "| list | published FGD | %s | idle GPUs | decision p50 µs | p99 µs |\n|---|---|%s---|---|---|\n",
		strings.ReplaceAll(names(policies), ", ", " | "), strings.Repeat("---|", len(policies)))
	for i := 0; i < len(results); i += len(policies) {
		row := results[i : i+len(policies)]
		fmt.Fprintf(out, "| %s | ", row[0].List)
		if figure, ok := published()[row[0].List]; ok {
			fmt.Fprintf(out, "%.2f |", figure)
		} else {
			fmt.Fprint(out, "|")
		}
		for _, r := range row {
			fmt.Fprintf(out, " %.2f |", r.AllocatedPct)
		}
		ours := row[max(slices.IndexFunc(row, func(r result) bool { return r.Policy == fit.PolicyDefault }), 0)]
		if _, err := fmt.Fprintf(out, " %.0f | %.1f | %.1f |\n", ours.IdleGPUs, ours.P50, ours.P99); err != nil {
			return err
		}
	}
	return nil
}
