package alarmpage

import (
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/gate/exhibit/plot"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	wide = 1010.0 // width of a picture that fills the page
	half = 496.0  // of one of two beside each other
)

// drawLosses draws the mean loss of every conclusive block over the band in
// which nine of ten of the reference's blocks lie.
func (a Account) drawLosses() string {
	var measured, estimated [][2]float64
	var values []float64
	for _, b := range a.Blocks {
		at := middle(b)
		if b.Conclusive {
			measured, values = append(measured, [2]float64{at, b.Loss}), append(values, b.Loss)
		}
		if b.Estimated != 0 {
			estimated, values = append(estimated, [2]float64{at, b.Estimated}), append(values, b.Estimated)
		}
	}
	if len(measured) == 0 {
		return ""
	}
	low, high, known := band(a.ReferenceLosses)
	legend := []plot.Entry{{Class: "line candidate", Text: "measured, by block", Mark: true}}
	if known {
		values = append(values, low, high)
		legend = append(legend, plot.Entry{Class: "rule", Text: "reference: nine of ten of its blocks lie in the band"})
	}
	if len(estimated) > 0 {
		legend = append(legend, plot.Entry{Class: "thin line champion", Text: "estimated without labels; it trusts the model's probabilities"})
	}
	f := plot.NewFrame(plot.Layout{
		Title: "Loss by block", Width: wide, Height: 380, Legend: legend, X: a.span(), Y: plot.Spanning(values, 0, 0),
		XLabel: "event time (UTC)", YLabel: lossLabel(a.Task), XDates: true,
	})
	if known {
		f.Bar(f.X.Begin, f.Y.At(high), f.X.End-f.X.Begin, f.Y.At(low)-f.Y.At(high), "band")
		f.Line(f.X.Begin, f.Y.At(a.Explanation.LossBefore), f.X.End, f.Y.At(a.Explanation.LossBefore), "rule")
	}
	f.Path(f.Joined(estimated), "thin line champion")
	f.Path(f.Joined(measured), "line candidate")
	for _, b := range a.Blocks {
		if b.Conclusive {
			f.Dot(f.X.At(middle(b)), f.Y.At(b.Loss), 3, "candidate", fmt.Sprintf("%s: %s, %s labelled", date(b.Start), figure(b.Loss), plot.Grouped(b.Labelled)))
		}
	}
	a.mark(f)
	return f.Done()
}

func lossLabel(task models.Task) string {
	if task == models.TaskRegression {
		return "mean squared error"
	}
	return "mean log-loss (nats)"
}

// drawEvidence draws the martingale that was nearest to its threshold.
func (a Account) drawEvidence() string {
	var points [][2]float64
	for _, b := range a.Blocks {
		if b.Conclusive && b.Martingale > 0 {
			points = append(points, [2]float64{middle(b), b.Martingale})
		}
	}
	if len(points) == 0 || a.Alarm.Threshold <= 0 {
		return ""
	}
	y := plot.Axis{From: 0.1, To: a.Alarm.Threshold * 3, Log: true}
	for _, p := range points {
		y.To = min(max(y.To, p[1]*2), 1e12)
		y.From = max(min(y.From, p[1]), 1e-4)
	}
	f := plot.NewFrame(plot.Layout{
		Title: "Evidence against \"nothing changed\"", Width: wide, Height: 300, X: a.span(), Y: y, XDates: true,
		XLabel: "event time (UTC)", YLabel: "martingale (log scale)",
		Legend: []plot.Entry{{Class: "line candidate", Text: "the detector nearest to its threshold: " + a.Alarm.Detector}, {Class: "limit", Text: "threshold " + evidence(a.Alarm.Threshold)}},
	})
	f.Line(f.X.Begin, f.Y.At(a.Alarm.Threshold), f.X.End, f.Y.At(a.Alarm.Threshold), "limit")
	f.Path(f.Joined(points), "line candidate")
	for _, p := range points {
		f.Dot(f.X.At(p[0]), f.Y.At(p[1]), 2.5, "candidate", time.Unix(int64(p[0]), 0).UTC().Format("2 Jan 2006")+": "+evidence(p[1]))
	}
	a.mark(f)
	return f.Done()
}

// mark draws where the loss is estimated to have changed, and which block raised
// the alarm.
func (a Account) mark(f plot.Frame) {
	const room = 170.0 // of a label
	last := -room
	if at := float64(a.Alarm.Change.Unix()); !a.Alarm.Change.IsZero() && at >= f.X.From && at <= f.X.To {
		last = f.X.At(at)
		f.Line(last, f.Y.Begin, last, f.Y.End, "rule")
		f.Text(last-6, f.Y.End+12, "end", "change, about "+a.Alarm.Change.UTC().Format("2 Jan"))
	}
	for _, b := range a.Blocks {
		if b.Start.Equal(a.Alarm.Block) {
			x := f.X.At(middle(b))
			f.Line(x, f.Y.Begin, x, f.Y.End, "limit")
			y := f.Y.End + 12
			if x-last < room {
				y += 16
			}
			f.Text(x-6, y, "limit end", "alarm")
		}
	}
}

// span is the axis of all blocks.
func (a Account) span() plot.Axis {
	var times []float64
	for _, b := range a.Blocks {
		times = append(times, middle(b))
	}
	return plot.Spanning(times, 0, 0)
}

func middle(b models.Block) float64 {
	end := b.End
	if end.IsZero() {
		end = b.Start
	}
	return float64(b.Start.Unix()+end.Unix()) / 2
}

// band is where nine of ten of some losses lie.
func band(losses []float64) (low, high float64, known bool) {
	if len(losses) < 5 {
		return 0, 0, false
	}
	sorted := slices.Sorted(slices.Values(losses))
	last := float64(len(sorted) - 1)
	return sorted[int(0.05*last+0.5)], sorted[int(0.95*last+0.5)], true
}
