package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/monitorview"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// How much of each a frame shows.
const (
	alarmsShown  = 3
	actionsShown = 5
	movedShown   = 5
	sparkBlocks  = 60
)

// monitorFrame lays out what a monitor knows.
type monitorFrame struct {
	layout
	monitor client.Monitor
	blocks  int // of the table
}

func (f monitorFrame) lines() []string {
	s := f.monitor.Status
	lines := f.title()
	if s.Watch != nil {
		lines = append(lines, "")
		lines = append(lines, f.losses()...)
		lines = append(lines, f.evidence()...)
	}
	if table := f.table(); len(table) > 0 {
		lines = append(lines, "")
		lines = append(lines, table...)
	}
	lines = append(lines, "")
	lines = append(lines, f.alarms()...)
	lines = append(lines, f.inputs()...)
	lines = append(lines, f.actions()...)
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
	if band, ok := monitorview.Expected(s.Reference.Blocks); ok {
		facts = append(facts, fmt.Sprintf("eight in ten of its %d blocks were between %s and %s", len(s.Reference.Blocks), terminal.Figure(band[0]), terminal.Figure(band[1])))
	}
	if level, ok := monitorview.Level(s.Watch, s.Detector.Detectors); ok {
		facts = append(facts, "promised: at most "+terminal.Figure(level))
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
		lines = append(lines, f.row(label, f.bar(name, colour, d.Value, d.Threshold)+f.paint.Dim(" after "+counted(int(d.Observed), "block"))))
		label = ""
	}
	if s.Pending != "" {
		lines = append(lines, f.row("", f.paint.Dim("the detectors rest until the open alarm is settled")))
	}
	return lines
}

func (f monitorFrame) alarms() []string {
	all := f.monitor.Status.Alarms
	if len(all) == 0 {
		return []string{f.row("alarms", f.paint.Dim("none"))}
	}
	var lines []string
	for i, a := range slices.Backward(all[max(0, len(all)-alarmsShown):]) {
		label := ""
		if i == min(len(all), alarmsShown)-1 {
			label = "alarms"
		}
		colour := f.paint.Yellow
		switch a.State {
		case models.AlarmPromoted, models.AlarmAccepted:
			colour = f.paint.Green
		case models.AlarmPerson:
			colour = f.paint.Red
		default:
		}
		lines = append(lines, f.row(label, monitorview.Moment(a.Block)+"  "+colour(monitorview.StateWords(a.State))+f.paint.Dim("  version "+terminal.Plain(a.Version))))
		for _, text := range f.aboutAlarm(a) {
			lines = append(lines, f.rows("", terminal.Plain(text), f.paint.Dim)...)
		}
	}
	if more := len(all) - alarmsShown; more > 0 {
		lines = append(lines, f.row("", f.paint.Dim(fmt.Sprintf("and %d before", more))))
	}
	return lines
}

func (f monitorFrame) aboutAlarm(a models.Alarm) []string {
	texts := []string{monitorview.AlarmFigures(a)}
	if a.Action != "" {
		texts = append(texts, a.Action)
	}
	if e := a.Explanation; e != nil {
		texts = append(texts, e.Words)
		if e.Report != nil {
			texts = append(texts, fmt.Sprintf("its page: mainspring monitor %s --alarm '%s' --report alarm.html", f.monitor.Endpoint, monitorview.Moment(a.Block)))
		}
	}
	return texts
}

// inputs are those that moved, with the slices; they explain.
func (f monitorFrame) inputs() []string {
	r := f.monitor.Status.Inputs
	if r == nil {
		return nil
	}
	var lines []string
	label := "inputs"
	for _, moved := range monitorview.Moved(r, movedShown) {
		lines = append(lines, f.row(label, terminal.Plain(moved)))
		label = ""
	}
	if len(lines) == 0 {
		return []string{f.row(label, f.paint.Dim(fmt.Sprintf("none of %d moved, nor a slice, in %s", len(r.Features), counted(r.Blocks, "block"))))}
	}
	return lines
}

func (f monitorFrame) actions() []string {
	var lines []string
	label := "actions"
	all := f.monitor.Status.Actions
	for _, e := range all[max(0, len(all)-actionsShown):] {
		text := terminal.Plain(e.Text)
		if e.By != "" && !strings.Contains(text, e.By) {
			text = terminal.Plain(e.By) + ": " + text
		}
		colour := plainly
		if e.Failed != "" {
			text += " (failed: " + terminal.Plain(e.Failed) + ")"
			colour = f.paint.Red
		}
		lines = append(lines, f.rows(label, moment(e.At)+"  "+text, colour)...)
		label = ""
	}
	return lines
}

// standing is what holds, and what is waited for.
func (f monitorFrame) standing() []string {
	var lines []string
	s := f.monitor.Status
	if !f.monitor.Closed.IsZero() {
		lines = append(lines, f.rows("ended", moment(f.monitor.Closed)+": nobody watches; the next promotion starts it anew", f.paint.Red)...)
	}
	if s.Trouble != "" {
		lines = append(lines, f.rows("trouble", "blocks can't be scored: "+terminal.Plain(s.Trouble), f.paint.Red)...)
	}
	if s.Paused != "" {
		lines = append(lines, f.rows("paused", "alarms start nothing: "+terminal.Plain(s.Paused), f.paint.Yellow)...)
	}
	if s.Waiting != "" && f.monitor.Closed.IsZero() {
		lines = append(lines, f.rows("waits for", terminal.Plain(s.Waiting), plainly)...)
	}
	if f.monitor.Page != "" {
		lines = append(lines, f.row("page", f.paint.Dim(f.monitor.Page)))
	}
	return lines
}

// monitorNews are the lines that tell what came between two looks.
func monitorNews(before, now models.MonitorStatus) []string {
	var lines []string
	var seen time.Time
	if n := len(before.Blocks); n > 0 {
		seen = before.Blocks[n-1].Start
	}
	for _, b := range now.Blocks {
		if b.Start.After(seen) {
			lines = append(lines, "block "+monitorview.Moment(b.Start)+": "+monitorview.BlockWords(b))
		}
	}
	states := map[string]models.AlarmState{}
	for _, a := range before.Alarms {
		states[a.RequestID] = a.State
	}
	for _, a := range now.Alarms {
		if was, known := states[a.RequestID]; !known || was != a.State {
			lines = append(lines, fmt.Sprintf("alarm %s: %s, %s", monitorview.Moment(a.Block), monitorview.StateWords(a.State), cmp.Or(a.Action, monitorview.AlarmFigures(a))))
		}
	}
	var acted time.Time
	if n := len(before.Actions); n > 0 {
		acted = before.Actions[n-1].At
	}
	for _, e := range now.Actions {
		if e.At.After(acted) {
			lines = append(lines, moment(e.At)+" "+e.Text)
		}
	}
	if now.Waiting != before.Waiting && now.Waiting != "" {
		lines = append(lines, "waits for "+now.Waiting)
	}
	for i := range lines {
		lines[i] = terminal.Plain(lines[i])
	}
	return lines
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return terminal.Grouped(int64(n)) + " " + noun + "s"
}
