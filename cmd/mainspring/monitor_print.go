package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/monitorview"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// extent is how much of each a frame shows.
type extent struct {
	blocks, ahead, alarms, moved, actions int
	explained                             bool
}

// extents are from all that helps to what must be seen in a small terminal.
func extents(blocks int) []extent {
	return []extent{
		{blocks, min(blocks, 3), 3, 5, 5, true},
		{min(blocks, 6), min(blocks, 2), 1, 4, 3, true},
		{min(blocks, 3), min(blocks, 1), 1, 2, 1, false},
		{0, 0, 1, 0, 0, false},
	}
}

const sparkBlocks = 60

// monitorFrame lays out what a monitor knows.
type monitorFrame struct {
	layout
	monitor client.Monitor
	blocks  int // of the table, where there is room
}

// lines are no more than the layout is high, if that can be.
func (f monitorFrame) lines() (lines []string) {
	for _, e := range extents(f.blocks) {
		if lines = f.laidOut(e); f.height == 0 || len(lines) <= f.height {
			break
		}
	}
	return lines
}

func (f monitorFrame) laidOut(e extent) []string {
	s := f.monitor.Status
	lines := f.title()
	if s.Watch != nil {
		lines = append(lines, "")
		lines = append(lines, f.losses()...)
		lines = append(lines, f.evidence()...)
	}
	if table := f.table(e); len(table) > 0 {
		lines = append(lines, "")
		lines = append(lines, table...)
	}
	lines = append(lines, "")
	lines = append(lines, f.alarms(e)...)
	lines = append(lines, f.inputs(e)...)
	lines = append(lines, f.actions(e)...)
	return f.fitted(append(lines, f.standing()...))
}

func (f monitorFrame) title() []string {
	s := f.monitor.Status
	name := " " + f.paint.Bold(terminal.Plain(f.monitor.Endpoint))
	if s.Watch == nil {
		return []string{name + f.paint.Dim(" · ") + "no champion yet"}
	}
	name += f.paint.Dim(" · ") + terminal.Plain(s.Watch.Model) + f.paint.Dim(" version ") + f.paint.Bold(terminal.Plain(s.Watch.Version))
	spec := s.Watch.Spec
	length := "blocks of " + spec.Block.String()
	if spec.BlockRows > 0 {
		length = "blocks of " + terminal.Grouped(spec.BlockRows) + " requests"
	}
	facts := []string{length + ", judged " + spec.Maturity.String() + " after their end"}
	if !s.Watch.Since.IsZero() {
		facts = append([]string{"watched since " + monitorview.Moment(s.Watch.Since)}, facts...)
	}
	if !s.Watermark.IsZero() {
		facts = append(facts, "log complete up to "+monitorview.Moment(s.Watermark))
	}
	return []string{name, " " + f.paint.Dim(strings.Join(facts, " · "))}
}

// losses has the measured loss, and apart from it the estimated one.
func (f monitorFrame) losses() []string {
	s := f.monitor.Status
	var measured, estimated []float64
	newest := math.NaN()
	for _, b := range s.Blocks {
		if b.Version != s.Watch.Version {
			continue
		}
		loss := math.NaN()
		if b.Conclusive {
			loss, newest = b.Loss, b.Loss
		}
		measured = append(measured, loss)
	}
	for _, b := range s.Ahead {
		if b.Estimated != 0 {
			estimated = append(estimated, b.Estimated)
		}
	}
	if math.IsNaN(newest) {
		return append([]string{f.row("loss", f.paint.Dim("no block with enough labels yet"))}, f.reference()...)
	}
	width := min(sparkBlocks, max(f.columns-60, 10))
	low, high := terminal.Bounds(measured[max(0, len(measured)-width):])
	lines := []string{f.row("loss", f.paint.Bold(terminal.Pad(terminal.Figure(newest), 9))+f.paint.Blue(terminal.Sparkline(measured, width))+
		f.paint.Dim(fmt.Sprintf("  %s to %s in %s", terminal.Figure(low), terminal.Figure(high), counted(min(len(measured), width), "block"))))}
	lines = append(lines, f.reference()...)
	if n := len(estimated); n > 0 {
		lines = append(lines, f.row("estimated", terminal.Pad(terminal.Figure(estimated[n-1]), 9)+
			f.paint.Dim(fmt.Sprintf("%s without labels yet, by the model's own probabilities: no trigger", counted(n, "block")))))
	}
	return lines
}

func (f monitorFrame) reference() []string {
	s := f.monitor.Status
	if s.Reference == nil {
		return nil
	}
	text := terminal.Pad(terminal.Figure(s.Reference.Loss), 9)
	facts := []string{}
	// What may be cut off in a narrow terminal comes last.
	if level, ok := monitorview.Level(s.Watch, s.Detector.Detectors); ok {
		facts = append(facts, "promised: at most "+terminal.Figure(level))
	}
	if band, ok := monitorview.Expected(s.Reference.Blocks); ok {
		facts = append(facts, fmt.Sprintf("eight in ten of its %d blocks: %s to %s", len(s.Reference.Blocks), terminal.Figure(band[0]), terminal.Figure(band[1])))
	}
	if s.Reference.Note != "" {
		facts = append(facts, terminal.Plain(s.Reference.Note))
	}
	return []string{f.row("reference", text+f.paint.Dim(strings.Join(facts, "; ")))}
}

// evidence has one bar a detector, on a log scale from 1 to its threshold.
func (f monitorFrame) evidence() []string {
	s := f.monitor.Status
	width := 0
	for _, d := range s.Detector.Detectors {
		width = max(width, len(models.DetectorName(d.Spec)))
	}
	var lines []string
	label := "evidence"
	for _, d := range s.Detector.Detectors {
		colour := f.paint.Yellow
		if d.Value >= d.Threshold {
			colour = f.paint.Red
		}
		name := terminal.Pad(terminal.Plain(models.DetectorName(d.Spec)), min(width, 24))
		lines = append(lines, f.row(label, f.bar(name, colour, d.Value, d.Threshold)+f.paint.Dim(" "+f.after(d))))
		label = ""
	}
	if s.Pending != "" {
		lines = append(lines, f.row("", f.paint.Dim("the detectors rest until the open alarm is settled")))
	}
	return lines
}

// after says what a detector has seen. A slice that no block has is mostly one
// whose name is wrong, and its detector would be silent for ever.
func (f monitorFrame) after(d models.Detector) string {
	seen := counted(int(d.Observed), "block")
	others := slices.ContainsFunc(f.monitor.Status.Detector.Detectors, func(o models.Detector) bool { return o.Observed > 0 })
	switch {
	case d.Spec.Column != "" && d.Observed == 0 && others:
		return "no block has this slice: a wrong name?"
	case f.columns > 0 && f.columns < 90: // beside a long name there is no room for more
		return seen
	default:
		return "after " + seen
	}
}
