package demo

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/monitorview"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// The sections of a frame that show evidence: training, canary, monitor.

func (f frame) training() []string {
	p := f.scene.Training
	if p == nil {
		text := f.paint.Dim("no training runs")
		if l := f.scene.Current; l != nil && len(l.Curve) > 0 {
			curve := losses(l.Curve)
			text = f.paint.Dim("ended at step "+strconv.FormatFloat(l.Curve[len(l.Curve)-1][0], 'f', 0, 64)+"  loss ") +
				fmt.Sprintf("%.4f", curve[len(curve)-1])
			return []string{f.row("TRAINING", text), f.row("", f.paint.Dim(terminal.Sparkline(curve, 60)))}
		}
		return []string{f.row("TRAINING", text), f.row("", "")}
	}
	text, spark := terminal.Plain(p.Phase), ""
	if p.Of > 0 {
		text = f.meter(f.paint.Cyan, float64(p.Step)/float64(p.Of), 24) + fmt.Sprintf("  step %d of %d", p.Step, p.Of)
		if p.Checkpoint > 0 {
			text += f.paint.Dim(fmt.Sprintf("  checkpoint at %d", p.Checkpoint))
		}
		if p.Phase != "training" {
			text += f.paint.Dim("  " + terminal.Plain(p.Phase))
		}
	}
	if curve := losses(p.Curve); len(curve) > 0 {
		spark = f.paint.Cyan(terminal.Sparkline(curve, min(60, f.columns-30))) + fmt.Sprintf("  loss %.4f", curve[len(curve)-1])
	}
	return []string{f.row("TRAINING", text), f.row("", spark)}
}

func losses(curve [][2]float64) []float64 {
	values := make([]float64, len(curve))
	for i, point := range curve {
		values[i] = point[1]
	}
	return values
}

func (f frame) canary() []string {
	var rollout *models.RolloutStatus
	if f.scene.Current != nil {
		rollout = f.scene.Current.Rollout
	}
	if rollout == nil || len(rollout.Steps) == 0 {
		text := "none under way"
		if rollout != nil && rollout.Waiting != "" {
			text = terminal.Plain(rollout.Waiting)
		}
		return []string{f.row("CANARY", f.paint.Dim(text)), f.row("", ""), f.row("", "")}
	}
	step := rollout.Steps[len(rollout.Steps)-1]
	errors := f.paint.Dim("0 errors")
	if step.Canary.Errors > 0 {
		errors = f.paint.Red(terminal.Grouped(step.Canary.Errors) + " errors")
	}
	head := fmt.Sprintf("version %s at %s %%  %s requests  ", f.paint.Bold(terminal.Plain(rollout.Version)),
		terminal.Figure(step.Weight*100), terminal.Grouped(step.Canary.Requests)) + errors + "  " + f.verdict(step.Verdict.Verdict)
	return []string{
		f.row("CANARY", head),
		f.evidence("  safe", f.paint.Green, step.Verdict.Safe, step.Verdict.SafeThreshold, "promotes"),
		f.evidence("  harm", f.paint.Red, step.Verdict.Harm, step.Verdict.HarmThreshold, "rolls back"),
	}
}

// evidence is a number that acts once it reaches its threshold, on a log
// scale from 1.
func (f frame) evidence(label string, colour func(string) string, value, threshold float64, acts string) string {
	return f.row(label, f.meter(colour, terminal.LogShare(value, threshold), 24)+
		fmt.Sprintf("  %8s", terminal.Figure(value))+f.paint.Dim(" at "+terminal.Figure(threshold)+" it "+acts))
}

func (f frame) monitor() []string {
	m := f.scene.Monitor
	head, spark := f.paint.Dim("no blocks judged yet"), ""
	if m.Watch != nil {
		head = "champion " + f.paint.Bold(terminal.Plain(m.Watch.Version)) + f.paint.Dim(", waiting for the first day's labels")
	}
	if n := len(m.Blocks); n > 0 {
		last, values := m.Blocks[n-1], recentLosses(m.Blocks, 60)
		head = "champion " + f.paint.Bold(terminal.Plain(last.Version)) + f.paint.Dim("  "+last.Start.UTC().Format("2 Jan")+"  ")
		if last.Conclusive {
			head += fmt.Sprintf("loss %.3f", last.Loss) + f.paint.Dim(fmt.Sprintf("  %s of %s labelled", terminal.Grouped(last.Labelled), terminal.Grouped(last.Requests)))
		} else {
			head += f.paint.Dim("too few labels to judge")
		}
		low, high := terminal.Bounds(values)
		spark = f.paint.Blue(terminal.Pad(terminal.Sparkline(values, min(60, f.columns-32)), min(60, f.columns-32))) +
			f.paint.Dim(fmt.Sprintf("  %.2f to %.2f", low, high))
	}
	nearest, _ := m.Detector.Nearest()
	evidence := f.evidence("  evidence", f.paint.Yellow, nearest.Value, nearest.Threshold, "alarms")
	if nearest.Spec.Kind != "" {
		evidence += f.paint.Dim(": " + terminal.Plain(models.DetectorName(nearest.Spec)))
	}
	alarm, why := f.alarm(m.Alarms)
	return []string{f.row("MONITOR", head), f.row("  loss", spark), evidence, f.row("  alarms", alarm), f.row("", why)}
}

// alarm is the newest one, what came of it, and why it was raised.
func (f frame) alarm(alarms []models.Alarm) (text, why string) {
	n := len(alarms)
	if n == 0 {
		return f.paint.Dim("none"), ""
	}
	a := alarms[n-1]
	if n > 1 {
		text = fmt.Sprintf("%d, last: ", n)
	}
	text += f.paint.Yellow(fmt.Sprintf("%s  loss %.3f against %.3f", a.Block.UTC().Format("2 Jan"), a.Loss, a.Reference))
	if !a.Change.IsZero() {
		text += f.paint.Dim(" since about " + a.Change.UTC().Format("2 Jan"))
	}
	if a.State != "" {
		text += "  " + monitorview.StateWords(a.State)
	}
	if a.Explanation != nil {
		return text, f.paint.Dim(terminal.Plain(a.Explanation.Words))
	}
	return text, f.paint.Dim(terminal.Plain(a.Action))
}

// recentLosses are the last blocks' losses, with gaps for the inconclusive.
func recentLosses(blocks []models.Block, n int) []float64 {
	var values []float64
	for _, b := range blocks[max(0, len(blocks)-n):] {
		if b.Conclusive {
			values = append(values, b.Loss)
		} else {
			values = append(values, math.NaN())
		}
	}
	return values
}

func spinner(elapsed time.Duration) string {
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	return string(frames[int(elapsed/(200*time.Millisecond))%len(frames)])
}

func seconds(d time.Duration) string {
	if d >= 10*time.Minute {
		return stopwatch(d)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func stopwatch(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strings.Join([]string{terminal.Grouped(int64(n)), noun + "s"}, " ")
}
