package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/monitorview"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

func (f monitorFrame) alarms(e extent) []string {
	all := f.monitor.Status.Alarms
	if len(all) == 0 {
		return []string{f.row("alarms", f.paint.Dim("none"))}
	}
	var lines []string
	for i, a := range slices.Backward(all[max(0, len(all)-e.alarms):]) {
		label := ""
		if i == min(len(all), e.alarms)-1 {
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
		for _, text := range f.aboutAlarm(a, e.explained) {
			lines = append(lines, f.rows("", terminal.Plain(text), f.paint.Dim)...)
		}
	}
	if more := len(all) - e.alarms; more > 0 {
		lines = append(lines, f.row("", f.paint.Dim(fmt.Sprintf("and %d before", more))))
	}
	return lines
}

func (f monitorFrame) aboutAlarm(a models.Alarm, explained bool) []string {
	texts := []string{monitorview.AlarmFigures(a)}
	if a.Action != "" {
		texts = append(texts, a.Action)
	}
	if e := a.Explanation; e != nil && explained {
		texts = append(texts, e.Words)
		if e.Report != nil {
			texts = append(texts, fmt.Sprintf("its page: mainspring monitor %s --alarm '%s' --report alarm.html", f.monitor.Endpoint, monitorview.Moment(a.Block)))
		}
	}
	return texts
}

// inputs are those that moved, with the slices; they explain.
func (f monitorFrame) inputs(e extent) []string {
	r := f.monitor.Status.Inputs
	if r == nil || e.moved == 0 {
		return nil
	}
	var lines []string
	label := "inputs"
	for _, moved := range monitorview.Moved(r, e.moved) {
		lines = append(lines, f.row(label, terminal.Plain(moved)))
		label = ""
	}
	if len(lines) == 0 {
		return []string{f.row(label, f.paint.Dim(fmt.Sprintf("none of %d moved, nor a slice, in %s", len(r.Features), counted(r.Blocks, "block"))))}
	}
	return lines
}

func (f monitorFrame) actions(e extent) []string {
	var lines []string
	label := "actions"
	all := f.monitor.Status.Actions
	for _, e := range all[max(0, len(all)-e.actions):] {
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
		lines = append(lines, f.rows("ended", moment(f.monitor.Closed)+": nobody watches; the steward starts it anew within minutes", f.paint.Red)...)
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
