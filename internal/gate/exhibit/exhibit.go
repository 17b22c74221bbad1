// Package exhibit writes a gate's evidence down for people: plots and tables
// among the run's artifacts, and the page of a model version. The same evidence
// gives the same bytes.
//
// # Vocabulary
//
//   - A plot is one SVG file. It brings its own background and colours, for light
//     and dark, because MLflow shows it as a picture.
//   - A forest is a plot with one figure and its interval per line.
//   - A page is Markdown.
package exhibit

import (
	"cmp"

	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// Evidence is everything that the files show.
type Evidence struct {
	Model      string
	Champion   string // version; empty: there is none
	Task       models.Task
	Spec       models.EvaluateSpec
	Evaluation models.Evaluation
	Curves     metric.Curves
	Gate       models.GateVerdict
}

// File is one file, named below the run's artifacts: evaluation/reliability.svg.
type File struct {
	Name    string
	Content []byte
}

const directory = "evaluation/"

// Files writes the gate's table (Markdown), the plots that the evidence gives
// (SVG) and all figures (JSON), in that order.
func Files(e Evidence) []File {
	e = e.complete()
	plots := e.plots()
	files := make([]File, 0, len(plots)+2)
	files = append(files, File{})
	for _, p := range plots {
		files = append(files, File{Name: directory + p.name + ".svg", Content: []byte(p.svg)})
	}
	files = append(files, File{Name: directory + "evaluation.json", Content: e.figures()})
	files[0] = File{Name: directory + "gate.md", Content: []byte(e.table(plots))}
	return files
}

// complete fills in defaults and leaves out what is no number.
func (e Evidence) complete() Evidence {
	e.Task = cmp.Or(e.Task, models.TaskBinary)
	e.Spec = e.Spec.WithDefaultsFor(e.Task)
	e.Evaluation = finiteEvaluation(e.Evaluation)
	e.Curves = finiteCurves(e.Curves)
	return e
}

// drawing is one plot.
type drawing struct {
	name  string // of the file, without folder and ending
	title string
	svg   string
}

func (e Evidence) plots() []drawing {
	var drawn []drawing
	for _, d := range append([]drawing{e.reliability(), e.roc(), e.precisionRecall(), e.blocks()}, e.forests()...) {
		if d.svg != "" {
			drawn = append(drawn, d)
		}
	}
	return drawn
}

// compared reports whether there is a champion.
func (e Evidence) compared() bool { return len(e.Evaluation.Champion) > 0 }

func (e Evidence) championName() string {
	if e.Champion == "" {
		return "champion"
	}
	return "champion (version " + e.Champion + ")"
}

// metric is what the gate compares in.
func (e Evidence) metric() models.Metric { return e.Spec.Champion.Metric }
