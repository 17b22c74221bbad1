// Package exhibit writes a gate's evidence down for people: plots and tables
// among the run's artifacts, and the page of a model version.
package exhibit

import (
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

// Files writes the plots (SVG), the gate's table (Markdown) and all figures
// (JSON).
func Files(Evidence) []File { return nil }

// VersionPage is the Markdown page of a model version.
func VersionPage(candidate models.Candidate, version models.ModelVersion) string { return "" }
