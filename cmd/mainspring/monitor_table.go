package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/monitorview"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// table has the newest blocks, oldest first, and below them the newest of those
// whose labels have not come.
func (f monitorFrame) table(e extent) []string {
	s := f.monitor.Status
	shown := s.Blocks[max(0, len(s.Blocks)-e.blocks):]
	ahead := s.Ahead[max(0, len(s.Ahead)-e.ahead):]
	if len(shown)+len(ahead) == 0 {
		return nil
	}
	head := fmt.Sprintf(" %-16s %9s %9s %9s %9s %9s  %s", "block (UTC)", "requests", "labelled", "loss", "estimated", "evidence", "score")
	lines := []string{f.paint.Dim(head)}
	for _, b := range shown {
		lines = append(lines, f.blockLine(b))
	}
	for _, b := range ahead {
		lines = append(lines, f.paint.Dim(fmt.Sprintf(" %-16s %9s %9s %9s %9s %9s  %s", monitorview.Moment(b.Start), terminal.Grouped(b.Requests), "", "", figureOr(b.Estimated), "", "labels to come")))
	}
	return lines
}

func (f monitorFrame) blockLine(b models.Block) string {
	loss, evidence := "", ""
	if b.Conclusive {
		loss = terminal.Figure(b.Loss)
	}
	if len(b.Looks) > 0 {
		evidence = terminal.Figure(b.Martingale)
	}
	words := monitorview.ScoreWords(b)
	if s := f.monitor.Status; s.Watch != nil && b.Version != s.Watch.Version && b.Version != "" {
		words = "version " + terminal.Plain(b.Version) + ", " + words
	}
	line := fmt.Sprintf(" %-16s %9s %9s %9s %9s %9s  ", monitorview.Moment(b.Start), terminal.Grouped(b.Requests), terminal.Grouped(b.Labelled), loss, figureOr(b.Estimated), evidence)
	if alarmed(b) {
		return line + f.paint.Red("alarm") + ", " + words
	}
	return line + f.paint.Dim(words)
}

func alarmed(b models.Block) bool {
	for _, look := range b.Looks {
		if look.Alarm {
			return true
		}
	}
	return false
}

// figureOr leaves out what was not estimated.
func figureOr(v float64) string {
	if v == 0 {
		return ""
	}
	return terminal.Figure(v)
}

func (f *monitorFlags) list(ctx context.Context, c *client.Client, out io.Writer) error {
	all, err := c.Monitors(ctx)
	switch {
	case err != nil:
		return err
	case f.json:
		return writeJSON(out, all)
	case len(all) == 0:
		_, err := fmt.Fprintf(out, "nothing is monitored at %s; the first promotion of a model with a monitor section starts a monitor\n", c.Address())
		return err
	}
	return printMonitors(out, all)
}

// printMonitors writes a table; what can be long comes last.
func printMonitors(out io.Writer, all []client.Monitor) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ENDPOINT\tMODEL\tVERSION\tNEWEST BLOCK\tLOSS\tREFERENCE\tNEAREST TO ALARM\tSTATE")
	for _, m := range all {
		fmt.Fprintln(table, strings.Join(monitorCells(m), "\t"))
	}
	return table.Flush()
}

func monitorCells(m client.Monitor) []string {
	endpoint := terminal.Plain(m.Endpoint)
	s := m.Status
	if s.Watch == nil {
		state := cmp.Or(m.Trouble, "waits for "+s.Waiting)
		return []string{endpoint, "-", "-", "-", "-", "-", "-", terminal.Plain(state)}
	}
	newest, loss, reference, nearest := "-", "-", "-", "-"
	for _, b := range s.Blocks {
		if b.Version == s.Watch.Version {
			newest = monitorview.Moment(b.Start)
			if b.Conclusive {
				loss = terminal.Figure(b.Loss)
			}
		}
	}
	if s.Reference != nil {
		reference = terminal.Figure(s.Reference.Loss)
	}
	if d, ok := s.Detector.Nearest(); ok {
		nearest = fmt.Sprintf("%s %s of %s", models.DetectorName(d.Spec), terminal.Figure(d.Value), terminal.Figure(d.Threshold))
	}
	return []string{endpoint, terminal.Plain(s.Watch.Model), terminal.Plain(s.Watch.Version), newest, loss, reference, terminal.Plain(nearest), terminal.Plain(monitorState(s))}
}

// monitorState is in a few words how things are.
func monitorState(s models.MonitorStatus) string {
	state := "watches"
	if n := len(s.Alarms); n > 0 && !s.Alarms[n-1].Settled {
		a := s.Alarms[n-1]
		state = fmt.Sprintf("alarm of %s: %s", monitorview.Moment(a.Block), monitorview.StateWords(a.State))
	}
	if s.Paused != "" {
		state += "; paused"
	}
	if s.Trouble != "" {
		state += "; blocks can't be scored: " + s.Trouble
	}
	return state
}
