package exhibit

import (
	"fmt"
	"math"

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
	entries := []entry{{"line candidate", "candidate, " + e.error(e.Evaluation.Candidate), true}}
	if len(champion) > 0 {
		entries = append(entries, entry{"line champion", e.championName() + ", " + e.error(e.Evaluation.Champion), true})
	}
	top := reach(candidate, champion)
	const below = 84.0
	f := newFrame(layout{
		title: d.title, caption: []string{
			"On the dashed line, predictions come true as often as they say. The area of a mark grows with its bin's rows.", e.support() + ".",
		},
		width: 720, height: 660, below: below, legend: entries,
		x: axis{from: 0, to: top}, y: axis{from: 0, to: top}, xLabel: predicted, yLabel: observed,
	})
	f.path(f.joined([][2]float64{{0, 0}, {top, top}}), "rule")
	f.bins(champion, "champion")
	f.bins(candidate, "candidate")
	f.histogram(candidate, below)
	d.svg = f.done()
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
	f.path(f.joined(points), "line "+class)
	for _, b := range bins {
		if b.Rows > 0 {
			f.dot(f.x.at(b.Predicted), f.y.at(b.Observed), 2.5+5.5*math.Sqrt(float64(b.Rows)/float64(most)), class,
				fmt.Sprintf("%s rows, predicted %.3f, observed %.3f", grouped(b.Rows), b.Predicted, b.Observed))
		}
	}
}

// histogram stands below the axis: rows by bin.
func (f frame) histogram(bins []models.ReliabilityBin, room float64) {
	var most int64
	for _, b := range bins {
		most = max(most, b.Rows)
	}
	floor, height := f.y.begin+36+room, room-26
	for _, b := range bins {
		share := float64(b.Rows) / float64(max(most, 1))
		left, right := f.x.at(b.Low), f.x.at(b.High)
		f.bar(left+1, floor-share*height, right-left-2, share*height, "bar")
	}
	f.line(f.x.begin, floor, f.x.end, floor, "axis")
	f.text(f.x.begin-9, floor, "soft num end", "0")
	f.text(f.x.begin-9, floor-height+8, "soft num end", grouped(most))
	f.upright(20, floor-height/2, "soft middle", "rows")
}

// roc shows the share of label 1 that is found against that of label 0 that is
// taken for it.
func (e Evidence) roc() drawing {
	d := drawing{name: "roc", title: "ROC curve"}
	if len(e.Curves.ROC) < 2 {
		return d
	}
	f := newFrame(layout{
		title: d.title, caption: []string{"Up and left is better; the dashed line is guessing.", e.support() + "."},
		width: 640, height: 640, legend: e.areas(models.AUC, e.Curves.ChampionROC), x: axis{to: 1}, y: axis{to: 1}, xLabel: "false positive rate", yLabel: "true positive rate",
	})
	f.path(f.joined([][2]float64{{0, 0}, {1, 1}}), "rule")
	f.pair(e.Curves.ROC, e.Curves.ChampionROC)
	d.svg = f.done()
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
	f := newFrame(layout{
		title: d.title, caption: []string{caption, e.support() + "."},
		width: 640, height: 640, legend: e.areas(models.PRAUC, e.Curves.ChampionPR), x: axis{to: 1}, y: axis{to: 1}, xLabel: "recall", yLabel: "precision",
	})
	if known {
		f.path(f.joined([][2]float64{{0, share}, {1, share}}), "rule")
	}
	f.pair(e.Curves.PR, e.Curves.ChampionPR)
	d.svg = f.done()
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
func (e Evidence) areas(area models.Metric, champion [][2]float64) []entry {
	named := func(name string, figures map[models.Metric]models.Estimate) string {
		if figure, ok := figures[area]; ok {
			return fmt.Sprintf("%s, %s %s", name, title(area), interval(figure))
		}
		return name
	}
	entries := []entry{{"line candidate", named("candidate", e.Evaluation.Candidate), false}}
	if len(champion) > 1 {
		entries = append(entries, entry{"line champion", named(e.championName(), e.Evaluation.Champion), false})
	}
	return entries
}

// pair draws the candidate over the champion.
func (f frame) pair(candidate, champion [][2]float64) {
	f.path(f.joined(champion), "line champion")
	f.path(f.joined(candidate), "line candidate")
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
	caption, entries := "Lower is better.", []entry{{"line candidate", "candidate", true}}
	if e.compared() {
		caption += fmt.Sprintf(" The candidate's loss is lower in %d of %d blocks.", better, len(days))
		entries = append(entries, entry{"line champion", e.championName(), true})
	}
	if len(days) < e.Evaluation.Blocks {
		caption += fmt.Sprintf(" Only the newest %d blocks are shown.", len(days))
	}
	label := "mean log-loss (nats)"
	if e.Task == models.TaskRegression {
		label = "mean squared error (unit²)"
	}
	f := newFrame(layout{
		title: d.title, caption: []string{caption, e.support() + "."}, width: 760, height: 440, legend: entries,
		x: spanning([]float64{candidate[0][0], candidate[len(candidate)-1][0]}, 0, 0), y: spanning(losses, 0, 0),
		xLabel: "start of the block (UTC)", yLabel: label, xDates: true,
	})
	f.series(champion, days, "champion")
	f.series(candidate, days, "candidate")
	d.svg = f.done()
	return d
}

func (f frame) series(points [][2]float64, days []models.BlockComparison, class string) {
	f.path(f.joined(points), "line "+class)
	for i, p := range points {
		f.dot(f.x.at(p[0]), f.y.at(p[1]), 4, class,
			fmt.Sprintf("%s: %.4f, %s rows", days[i].Start.UTC().Format("2 Jan 2006 15:04"), p[1], grouped(days[i].Rows)))
	}
}
