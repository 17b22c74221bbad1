package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// widest is where more columns stop to help the eye.
const widest = 118

// decisions is how many of the last events a frame shows.
const decisions = 6

// frame lays out one scene. Every section has the same number of lines
// whatever it has to say, so that nothing jumps while one reads.
type frame struct {
	scene   Scene
	now     time.Time
	paint   terminal.Paint
	columns int
}

// section is a few lines that belong together. When the terminal is too low,
// the sections with the highest rank go first.
type section struct {
	rank  int
	lines []string
}

func (f frame) lines(rows int) []string {
	sections := []section{
		{0, f.title()}, {1, f.stages()}, {3, f.training()}, {3, f.canary()},
		{2, f.monitor()}, {4, f.decisions()}, {5, f.waiting()}, {6, f.links()},
	}
	spaced := true
	for height(sections, spaced) > rows && len(sections) > 1 {
		if spaced {
			spaced = false
			continue
		}
		last := slices.MaxFunc(sections, func(a, b section) int { return a.rank - b.rank }).rank
		sections = slices.DeleteFunc(sections, func(s section) bool { return s.rank == last })
	}
	var lines []string
	for i, s := range sections {
		if spaced && i > 0 {
			lines = append(lines, "")
		}
		for _, line := range s.lines {
			lines = append(lines, terminal.Fit(line, f.columns-1))
		}
	}
	return lines[:min(len(lines), max(rows, 1))]
}

func height(sections []section, spaced bool) int {
	n := 0
	if spaced {
		n = len(sections) - 1
	}
	for _, s := range sections {
		n += len(s.lines)
	}
	return n
}

// row is a line with a label in the first column.
func (f frame) row(label, text string) string {
	return " " + f.paint.Dim(terminal.Pad(label, 11)) + " " + text
}

// meter is a bar between quiet marks.
func (f frame) meter(colour func(string) string, share float64, width int) string {
	filled, rest := terminal.Bar(share, width)
	return colour(filled) + f.paint.Dim(rest)
}

// ends puts text at both ends of a line.
func (f frame) ends(left, right string) string {
	gap := f.columns - 2 - ansi.StringWidth(left) - ansi.StringWidth(right)
	if gap < 2 {
		return left
	}
	return left + strings.Repeat(" ", gap) + right
}

func (f frame) title() []string {
	s := f.scene
	name := f.paint.Bold("Mainspring")
	if s.Current != nil {
		name += f.paint.Dim(" · ") + terminal.Plain(s.Current.Status.Spec.Model.Name)
	}
	date, share := "before the first request", 0.0
	if !s.EventTime.IsZero() {
		date = s.EventTime.UTC().Format("2 Jan 2006")
		if span := s.To.Sub(s.From); span > 0 {
			share = float64(s.EventTime.Sub(s.From)) / float64(span)
		}
	}
	errors := f.paint.Dim("0 errors")
	if s.Errors > 0 {
		errors = f.paint.Red(terminal.Grouped(s.Errors) + " errors")
	}
	traffic := fmt.Sprintf("%s requests %s  %s", terminal.Grouped(s.Requests), f.paint.Dim(fmt.Sprintf("%5.0f/s", s.PerSecond)), errors)
	if s.HoldsFor != "" {
		traffic += f.paint.Dim("  clock held: " + terminal.Plain(s.HoldsFor))
	}
	return []string{
		f.ends(" "+name, f.paint.Dim("elapsed ")+stopwatch(s.Elapsed)),
		f.row("event time", f.meter(f.paint.Blue, share, f.columns-40)+"  "+f.paint.Bold(date)),
		f.row("traffic", traffic),
	}
}

func (f frame) stages() []string {
	current := f.scene.Current
	if current == nil {
		current = &LifecycleStory{}
	}
	why := "first champion"
	if t := current.Status.Spec.Trigger; t != nil && t.Kind == models.TriggerAlarm {
		why = "retraining"
	}
	id := terminal.Plain(current.ID)
	if id == "" {
		id, why = "not started yet", ""
	}
	lines := []string{f.row("LIFECYCLE", f.paint.Bold(id)+f.paint.Dim("  "+why))}
	for _, stage := range stagesInOrder() {
		lines = append(lines, f.stage(current, stage))
	}
	return lines
}

func stagesInOrder() []models.Stage {
	return []models.Stage{models.StagePrepare, models.StageTrain, models.StageEvaluate, models.StageRegister, models.StageRollout}
}

func (f frame) stage(l *LifecycleStory, stage models.Stage) string {
	started, ended := l.Status.Started[stage], l.Status.Ended[stage]
	mark, took := f.paint.Dim("·"), ""
	switch {
	case !ended.IsZero():
		mark, took = f.paint.Green("✓"), seconds(ended.Sub(started))
	case l.Failure != "" && !started.IsZero():
		mark = f.paint.Red("✗")
	case !started.IsZero() && l.Status.Result == nil:
		mark, took = f.paint.Cyan(spinner(f.scene.Elapsed)), seconds(max(0, f.now.Sub(started)))
	}
	return " " + strings.Repeat(" ", 9) + mark + "  " + terminal.Pad(string(stage), 9) +
		f.paint.Dim(fmt.Sprintf("%8s  ", took)) + f.outcome(l, stage, !started.IsZero())
}

// outcome is what a stage found, in its own figures.
func (f frame) outcome(l *LifecycleStory, stage models.Stage, begun bool) string {
	s := l.Status
	switch {
	case stage == models.StagePrepare && s.Snapshot != nil:
		return fmt.Sprintf("%s rows to train, %s held out", terminal.Grouped(s.Snapshot.Train.Rows), terminal.Grouped(s.Snapshot.Test.Rows))
	case stage == models.StageTrain && s.Training != nil:
		return fmt.Sprintf("%d steps on %s", s.Training.Steps, counted(len(s.Training.Devices), "device"))
	case stage == models.StageEvaluate && s.Gate != nil:
		return f.verdict(s.Gate.Verdict) + "  " + gainOrLoss(s.Evaluation)
	case stage == models.StageRegister && s.Version != "":
		return "version " + terminal.Plain(s.Version)
	case stage == models.StageRollout && s.Result != nil && begun:
		if s.Result.Promoted {
			return f.paint.Green("promoted") + "  " + terminal.Plain(s.Result.Reason)
		}
		return f.paint.Yellow("not promoted") + "  " + terminal.Plain(s.Result.Reason)
	case s.Stage == stage && l.Failure != "":
		return f.paint.Red(terminal.Plain(l.Failure))
	case s.Stage == stage && s.WaitingFor != "":
		return f.paint.Dim(terminal.Plain(s.WaitingFor))
	default:
		return ""
	}
}

func gainOrLoss(e *models.Evaluation) string {
	switch {
	case e == nil:
		return ""
	case e.Gain != nil:
		return fmt.Sprintf("gain over the champion %+.3f [%+.3f, %+.3f]", e.Gain.Value, e.Gain.Low, e.Gain.High)
	default:
		return fmt.Sprintf("log-loss %.3f, AUC %.3f", e.Candidate[models.LogLoss].Value, e.Candidate[models.AUC].Value)
	}
}

func (f frame) verdict(v models.Verdict) string {
	switch v {
	case models.VerdictPass:
		return f.paint.Green("pass")
	case models.VerdictFail:
		return f.paint.Yellow("fail")
	case models.VerdictInconclusive:
		return f.paint.Yellow("inconclusive")
	default:
		return terminal.Plain(string(v))
	}
}

func (f frame) decisions() []string {
	events := f.scene.Events[max(0, len(f.scene.Events)-decisions):]
	lines := make([]string, decisions)
	for i := range lines {
		label := ""
		if i == 0 {
			label = "DECISIONS"
		}
		text := ""
		if i < len(events) {
			e := events[i]
			text = f.paint.Dim(fmt.Sprintf("%7s", seconds(time.Duration(e.Wall*float64(time.Second))))) + "  " +
				f.kind(e.Kind, "● "+terminal.Plain(e.Text))
		}
		lines[i] = f.row(label, text)
	}
	return lines
}

func (f frame) waiting() []string {
	text := f.paint.Dim("nothing")
	if n := len(f.scene.Waiting); n > 0 {
		text = f.paint.Yellow(terminal.Plain(f.scene.Waiting[0]))
		if n > 1 {
			text = f.paint.Yellow(fmt.Sprintf("%d reasons, first: ", n)) + text
		}
	}
	return []string{f.row("WAITING FOR", text)}
}

// links take two lines, so that four addresses fit into 80 columns.
func (f frame) links() []string {
	lines := []string{f.row("LINKS", ""), f.row("", "")}
	half := max(24, min(36, (f.columns-14)/2-9))
	for i, name := range slices.Sorted(maps.Keys(f.scene.UI)) {
		lines[i/2%2] += f.paint.Dim(terminal.Pad(terminal.Plain(name), 9)) + terminal.Pad(terminal.Plain(f.scene.UI[name]), half)
	}
	return lines
}

// kind colours an event's mark and text.
func (f frame) kind(k EventKind, s string) string {
	switch k {
	case EventAlarm, EventRefused:
		return f.paint.Yellow(s)
	case EventPromoted:
		return f.paint.Green(s)
	case EventFailure:
		return f.paint.Red(s)
	case EventStage, EventReplay:
		return s
	default:
		return s
	}
}
