package exhibit

import (
	"fmt"
	"math"

	"github.com/mainspring-ml/mainspring/internal/gate/exhibit/plot"
	"github.com/mainspring-ml/mainspring/models"
)

// reliability shows how often what was predicted came true, and under it how
// many rows were predicted so.
func (e Evidence) reliability() drawing {
	d := drawing{name: "reliability", title: "Reliability diagram"}
	candidate, champion := e.Curves.Reliability, e.Curves.ChampionReliability
	if len(candidate) == 0 {
		candidate = e.Evaluation.Reliability
	}
	if len(candidate) == 0 {
		return d
	}
	predicted, observed := "predicted probability of label 1 (mean of a bin)", "observed share of label 1"
	if e.Task == models.TaskMulticlass {
		predicted, observed = "probability of the predicted class (mean of a bin)", "share predicted right"
	}
	entries := []plot.Entry{{Class: "line candidate", Text: "candidate, " + e.error(e.Evaluation.Candidate), Mark: true}}
	if len(champion) > 0 {
		entries = append(entries, plot.Entry{Class: "line champion", Text: e.championName() + ", " + e.error(e.Evaluation.Champion), Mark: true})
	}
	top := reach(candidate, champion)
	const below = 84.0
	f := newFrame(plot.Layout{
		Title: d.title, Caption: []string{
			"On the dashed line, predictions come true as often as they say. The area of a mark grows with its bin's rows.", e.support() + ".",
		},
		Width: 720, Height: 660, Below: below, Legend: entries,
		X: plot.Axis{From: 0, To: top}, Y: plot.Axis{From: 0, To: top}, XLabel: predicted, YLabel: observed,
	})
	f.Path(f.Joined([][2]float64{{0, 0}, {top, top}}), "rule")
	f.bins(champion, "champion")
	f.bins(candidate, "candidate")
	f.histogram(candidate, below)
	d.svg = f.Done()
	return d
}

func (e Evidence) error(figures map[models.Metric]models.Estimate) string {
	if figure, ok := figures[models.CalibrationError]; ok {
		return "error " + interval(figure)
	}
	return "error not measured"
}

// reach is the upper end of both axes: a tenth above everything, at most 1.
func reach(bins ...[]models.ReliabilityBin) float64 {
	highest := 0.1
	for _, list := range bins {
		for _, b := range list {
			if b.Rows > 0 {
				highest = max(highest, b.Predicted, b.Observed)
			}
		}
	}
	return min(1, math.Ceil(highest*10+0.2)/10)
}

func (f frame) bins(bins []models.ReliabilityBin, class string) {
	var most int64
	var points [][2]float64
	for _, b := range bins {
		most = max(most, b.Rows)
		if b.Rows > 0 {
			points = append(points, [2]float64{b.Predicted, b.Observed})
		}
	}
	f.Path(f.Joined(points), "line "+class)
	for _, b := range bins {
		if b.Rows > 0 {
			f.Dot(f.X.At(b.Predicted), f.Y.At(b.Observed), 2.5+5.5*math.Sqrt(float64(b.Rows)/float64(most)), class,
				fmt.Sprintf("%s rows, predicted %.3f, observed %.3f", plot.Grouped(b.Rows), b.Predicted, b.Observed))
		}
	}
}

// histogram stands below the axis: rows by bin.
func (f frame) histogram(bins []models.ReliabilityBin, room float64) {
	var most int64
	for _, b := range bins {
		most = max(most, b.Rows)
	}
	floor, height := f.Y.Begin+36+room, room-26
	for _, b := range bins {
		share := float64(b.Rows) / float64(max(most, 1))
		left, right := f.X.At(b.Low), f.X.At(b.High)
		f.Bar(left+1, floor-share*height, right-left-2, share*height, "bar")
	}
	f.Line(f.X.Begin, floor, f.X.End, floor, "axis")
	f.Text(f.X.Begin-9, floor, "soft num end", "0")
	f.Text(f.X.Begin-9, floor-height+8, "soft num end", plot.Grouped(most))
	f.Upright(20, floor-height/2, "soft middle", "rows")
}

// roc shows the share of label 1 that is found against that of label 0 that is
// taken for it.
func (e Evidence) roc() drawing {
	d := drawing{name: "roc", title: "ROC curve"}
	if len(e.Curves.ROC) < 2 {
		return d
	}
	f := newFrame(plot.Layout{
		Title: d.title, Caption: []string{"Up and left is better; the dashed line is guessing.", e.support() + "."},
		Width: 640, Height: 640, Legend: e.areas(models.AUC, e.Curves.ChampionROC), X: plot.Axis{To: 1}, Y: plot.Axis{To: 1}, XLabel: "false positive rate", YLabel: "true positive rate",
	})
	f.Path(f.Joined([][2]float64{{0, 0}, {1, 1}}), "rule")
	f.pair(e.Curves.ROC, e.Curves.ChampionROC)
	d.svg = f.Done()
	return d
}

func (e Evidence) precisionRecall() drawing {
	d := drawing{name: "precision_recall", title: "Precision and recall"}
	if len(e.Curves.PR) < 2 {
		return d
	}
	caption := "Up and right is better."
	share, known := e.share()
	if known {
		caption = fmt.Sprintf("Up and right is better; the dashed line is guessing (label 1 has a share of %.3f).", share)
	}
	f := newFrame(plot.Layout{
		Title: d.title, Caption: []string{caption, e.support() + "."},
		Width: 640, Height: 640, Legend: e.areas(models.PRAUC, e.Curves.ChampionPR), X: plot.Axis{To: 1}, Y: plot.Axis{To: 1}, XLabel: "recall", YLabel: "precision",
	})
	if known {
		f.Path(f.Joined([][2]float64{{0, share}, {1, share}}), "rule")
	}
	f.pair(e.Curves.PR, e.Curves.ChampionPR)
	d.svg = f.Done()
	return d
}

// share of label 1 among the rows, from the bins.
func (e Evidence) share() (float64, bool) {
	bins := e.Curves.Reliability
	if len(bins) == 0 {
		bins = e.Evaluation.Reliability
	}
	var rows, ones float64
	for _, b := range bins {
		rows += float64(b.Rows)
		ones += float64(b.Rows) * b.Observed
	}
	return ones / max(rows, 1), rows > 0
}

// areas is the legend of two curves, with the areas under them.
func (e Evidence) areas(area models.Metric, champion [][2]float64) []plot.Entry {
	named := func(name string, figures map[models.Metric]models.Estimate) string {
		if figure, ok := figures[area]; ok {
			return fmt.Sprintf("%s, %s %s", name, title(area), interval(figure))
		}
		return name
	}
	entries := []plot.Entry{{Class: "line candidate", Text: named("candidate", e.Evaluation.Candidate)}}
	if len(champion) > 1 {
		entries = append(entries, plot.Entry{Class: "line champion", Text: named(e.championName(), e.Evaluation.Champion)})
	}
	return entries
}

// pair draws the candidate over the champion.
func (f frame) pair(candidate, champion [][2]float64) {
	f.Path(f.Joined(champion), "line champion")
	f.Path(f.Joined(candidate), "line candidate")
}

// blocks shows the mean loss of each held-out block.
func (e Evidence) blocks() drawing {
	d := drawing{name: "blocks", title: "Loss by block"}
	days := e.Evaluation.Days
	if len(days) < 2 {
		return d
	}
	var losses []float64
	var candidate, champion [][2]float64
	better := 0
	for _, day := range days {
		at := float64(day.Start.Unix())
		losses, candidate = append(losses, day.Candidate), append(candidate, [2]float64{at, day.Candidate})
		if e.compared() {
			losses, champion = append(losses, day.Champion), append(champion, [2]float64{at, day.Champion})
		}
		if day.Candidate < day.Champion {
			better++
		}
	}
	caption, entries := "Lower is better.", []plot.Entry{{Class: "line candidate", Text: "candidate", Mark: true}}
	if e.compared() {
		caption += fmt.Sprintf(" The candidate's loss is lower in %d of %d blocks.", better, len(days))
		entries = append(entries, plot.Entry{Class: "line champion", Text: e.championName(), Mark: true})
	}
	if len(days) < e.Evaluation.Blocks {
		caption += fmt.Sprintf(" Only the newest %d blocks are shown.", len(days))
	}
	label := "mean log-loss (nats)"
	if e.Task == models.TaskRegression {
		label = "mean squared error (unit²)"
	}
	f := newFrame(plot.Layout{
		Title: d.title, Caption: []string{caption, e.support() + "."}, Width: 760, Height: 440, Legend: entries,
		X: plot.Spanning([]float64{candidate[0][0], candidate[len(candidate)-1][0]}, 0, 0), Y: plot.Spanning(losses, 0, 0),
		XLabel: "start of the block (UTC)", YLabel: label, XDates: true,
	})
	f.series(champion, days, "champion")
	f.series(candidate, days, "candidate")
	d.svg = f.Done()
	return d
}

func (f frame) series(points [][2]float64, days []models.BlockComparison, class string) {
	f.Path(f.Joined(points), "line "+class)
	for i, p := range points {
		f.Dot(f.X.At(p[0]), f.Y.At(p[1]), 4, class,
			fmt.Sprintf("%s: %.4f, %s rows", days[i].Start.UTC().Format("2 Jan 2006 15:04"), p[1], plot.Grouped(days[i].Rows)))
	}
}

// frame is a plot's, with what is drawn into it.
type frame struct{ plot.Frame }

func newFrame(l plot.Layout) frame { return frame{plot.NewFrame(l)} }

// support says how many rows, blocks and days are behind a plot.
func (e Evidence) support() string {
	text := fmt.Sprintf("n = %s held-out rows in %d blocks of %s", plot.Grouped(e.Evaluation.Rows), e.Evaluation.Blocks, e.Spec.Champion.Block)
	if days := e.Evaluation.Days; len(days) > 0 && len(days) == e.Evaluation.Blocks { // else older ones were left out
		first, last := days[0].Start.UTC(), days[len(days)-1].Start.UTC()
		text += fmt.Sprintf(", %s to %s", first.Format("2 Jan 2006"), last.Format("2 Jan 2006"))
	}
	return text
}
