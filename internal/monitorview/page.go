package monitorview

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mainspring-ml/mainspring/internal/plot"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

//go:embed page.tmpl.html
var pageTemplate string

// Page is what the page of one monitor is made of.
type Page struct {
	Status models.MonitorStatus
	Link   string    // the monitor's page in Temporal's UI; empty: not known
	At     time.Time // when it was asked
}

// shown is what the template shows.
type shown struct {
	Page
	Endpoint, Version, Model string
	Summary                  []string
	Figures                  []figure
	Loss, Estimated          template.HTML
	Detectors                []detectorShown
	Budget                   string
	Alarms                   []alarmShown // newest first
	Features                 []models.FeatureShift
	Slices                   []models.SliceShift
	Actions                  []models.MonitorEvent // newest first
	Blocks                   []models.Block        // newest first
	SpecJSON                 string
}

type figure struct{ Value, Name string }

type detectorShown struct {
	models.Detector
	Name, Budget string
	Plot         template.HTML
}

type alarmShown struct {
	models.Alarm
	Words string
	Split template.HTML
}

// Render is the page as one file that loads nothing from elsewhere.
func Render(p Page) ([]byte, error) {
	s := p.Status
	view := shown{Page: p, Endpoint: s.Endpoint}
	parsed, err := template.New("monitor").Funcs(template.FuncMap{
		"head": func(v shown) template.HTML { return plot.Head("monitor of " + v.Endpoint) }, "foot": plot.Foot,
		"grouped": terminal.Grouped, "figure": terminal.Figure, "percent": Percent, "moment": Moment, "signed": signed,
		"score": ScoreWords, "sentence": sentence, "clock": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	}).Parse(pageTemplate)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	if s.Watch != nil {
		spec, err := json.MarshalIndent(s.Watch.Spec, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("spec: %w", err)
		}
		view.Version, view.Model, view.SpecJSON = s.Watch.Version, s.Watch.Model, string(spec)
		view.Budget = budgetWords(s.Watch.Spec)
	}
	view.Summary, view.Figures = summary(s), figures(s)
	h := historyOf(s)
	view.Loss, view.Estimated = h.LossPlot(), h.EstimatedPlot()
	width := 470.0
	if len(h.Detectors) == 1 {
		width = 960
	}
	for i, d := range h.Detectors {
		view.Detectors = append(view.Detectors, detectorShown{Detector: d, Name: models.DetectorName(d.Spec), Budget: terminal.Figure(d.Alpha), Plot: h.EvidencePlot(i, width)})
	}
	for _, a := range s.Alarms {
		one := alarmShown{Alarm: a, Words: StateWords(a.State)}
		if a.Explanation != nil {
			one.Split = SplitPlot(*a.Explanation)
		}
		view.Alarms = append(view.Alarms, one)
	}
	if s.Inputs != nil {
		view.Features, view.Slices = s.Inputs.Features, s.Inputs.Slices
	}
	view.Actions, view.Blocks = slices.Clone(s.Actions), slices.Clone(s.Blocks)
	slices.Reverse(view.Alarms)
	slices.Reverse(view.Actions)
	slices.Reverse(view.Blocks)
	var b bytes.Buffer
	if err := parsed.Execute(&b, view); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	return b.Bytes(), nil
}

// sentence makes one of words that stand elsewhere in the middle of a line.
func sentence(words string) string {
	first, size := utf8.DecodeRuneInString(words)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(words[size:], ".") + "."
}

// historyOf has the reference of the present champion only: the monitor forgets
// those before.
func historyOf(s models.MonitorStatus) History {
	h := History{Blocks: s.Blocks, Ahead: s.Ahead, Alarms: s.Alarms, Detectors: s.Detector.Detectors}
	if s.Watch == nil || s.Reference == nil {
		return h
	}
	r := Reference{Version: s.Watch.Version, Loss: s.Reference.Loss}
	if span, ok := Expected(s.Reference.Blocks); ok {
		r.Low, r.High = span[0], span[1]
	}
	r.Level, _ = Level(s.Watch, s.Detector.Detectors)
	h.References = []Reference{r}
	return h
}

func budgetWords(spec models.MonitorSpec) string {
	return fmt.Sprintf("All detectors together raise at most %s false alarms a year on average", terminal.Figure(spec.FalseAlarmsPerYear))
}

// summary is what somebody must know who reads nothing else.
func summary(s models.MonitorStatus) []string {
	if s.Watch == nil {
		return []string{"No champion is watched yet."}
	}
	var lines []string
	first := fmt.Sprintf("Version %s of %s answers", s.Watch.Version, s.Watch.Model)
	if newest, ok := newestConclusive(s); ok {
		first += fmt.Sprintf(" with a mean loss of %s in its newest judged block, that of %s", terminal.Figure(newest.Loss), Moment(newest.Start))
		if s.Reference != nil {
			first += fmt.Sprintf("; its reference is %s", terminal.Figure(s.Reference.Loss))
		}
	} else {
		first += "; none of its blocks has enough labels yet"
	}
	lines = append(lines, first+".")
	open := "No alarm is open."
	if n := len(s.Alarms); n > 0 && !s.Alarms[n-1].Settled {
		a := s.Alarms[n-1]
		open = fmt.Sprintf("The alarm of %s is open: %s.", Moment(a.Block), StateWords(a.State))
		if a.Action != "" {
			open = fmt.Sprintf("The alarm of %s is open: %s.", Moment(a.Block), strings.TrimSuffix(a.Action, "."))
		}
	}
	lines = append(lines, open)
	if s.Trouble != "" {
		lines = append(lines, "Blocks can't be scored: "+strings.TrimSuffix(s.Trouble, ".")+".")
	}
	if s.Paused != "" {
		lines = append(lines, "Alarms start nothing: "+strings.TrimSuffix(s.Paused, ".")+".")
	}
	log := ""
	if !s.Watermark.IsZero() {
		log = fmt.Sprintf("The inference log is complete up to %s. ", Moment(s.Watermark))
	}
	if s.Waiting != "" {
		log += "The monitor waits for " + strings.TrimSuffix(s.Waiting, ".") + "."
	}
	if log != "" {
		lines = append(lines, log)
	}
	return lines
}

func newestConclusive(s models.MonitorStatus) (newest models.Block, ok bool) {
	for _, b := range s.Blocks {
		if b.Conclusive && b.Version == s.Watch.Version {
			newest, ok = b, true
		}
	}
	return newest, ok
}

func figures(s models.MonitorStatus) []figure {
	if s.Watch == nil {
		return nil
	}
	var all []figure
	if newest, ok := newestConclusive(s); ok {
		all = append(all, figure{terminal.Figure(newest.Loss), "mean loss of " + Moment(newest.Start)})
	}
	if s.Reference != nil {
		all = append(all, figure{terminal.Figure(s.Reference.Loss), fmt.Sprintf("reference, %d blocks", len(s.Reference.Blocks))})
	}
	if d, ok := s.Detector.Nearest(); ok {
		all = append(all, figure{terminal.Figure(d.Value) + " of " + terminal.Figure(d.Threshold), models.DetectorName(d.Spec) + ", nearest to its alarm"})
	}
	few := 0
	for _, b := range s.Blocks {
		if !b.Conclusive {
			few++
		}
	}
	all = append(all, figure{fmt.Sprintf("%d / %d", len(s.Blocks)-few, few), "blocks judged / with too few labels"})
	return all
}
