package exhibit

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/internal/gate/exhibit/plot"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// page writes Markdown.
type page struct{ strings.Builder }

func (p *page) linef(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) header(cells ...string) {
	p.row(cells...)
	p.linef("|%s", strings.Repeat(" --- |", len(cells)))
}

func (p *page) row(cells ...string) { p.linef("| %s |", strings.Join(cells, " | ")) }

// plain keeps text from data and people from meaning anything in Markdown.
func plain(text string) string {
	return strings.NewReplacer("\r", " ", "\n", " ", "|", `\|`, "<", "&lt;", "`", "\\`", "*", `\*`, "](", `]\(`).Replace(text)
}

// table is the gate's page among the artifacts.
func (e Evidence) table(plots []drawing) string {
	p := &page{}
	p.linef("# Gate of %s: %s\n", plain(e.Model), e.Gate.Verdict)
	p.linef("%s\n", plain(e.Gate.Reason))
	p.linef("%s. Intervals are at error level %.3g on each side.\n", strings.TrimPrefix(e.support(), "n = "), e.Spec.Champion.Level)
	p.linef("## Checks\n")
	p.header("check", "slice", "verdict", "figure", "needed", "champion")
	for _, c := range e.Gate.Checks {
		p.row(plain(c.Name), plain(c.Slice), verdictWord(c.Verdict), checkFigure(c), plain(c.Limit), optional(c.Champion, interval))
	}
	p.linef("")
	e.metricsTable(p)
	e.slicesTable(p)
	e.servingTable(p)
	if len(plots) > 0 {
		p.linef("## Plots\n")
		for _, d := range plots {
			p.linef("- [%s](%s.svg)", d.title, d.name)
		}
		p.linef("")
	}
	p.linef("All figures, with the curves, are in [evaluation.json](evaluation.json).")
	return p.String()
}

// verdictWord marks what decides against a release.
func verdictWord(v models.Verdict) string {
	switch v {
	case models.VerdictFail:
		return "**fail**"
	case models.VerdictInconclusive:
		return "*inconclusive*"
	case models.VerdictPass:
		return "pass"
	}
	return "–"
}

func checkFigure(c models.GateCheck) string {
	switch {
	case c.Figure == models.Estimate{} && (c.Verdict == models.VerdictInconclusive || c.Limit == gate.FirstVersion):
		return "–"
	case c.Figure.Low == c.Figure.High:
		return fmt.Sprintf("%.6g", c.Figure.Value)
	default:
		return interval(c.Figure)
	}
}

func optional(e *models.Estimate, write func(models.Estimate) string) string {
	if e == nil {
		return "–"
	}
	return write(*e)
}

func figureOf(figures map[models.Metric]models.Estimate, m models.Metric, write func(models.Estimate) string) string {
	if e, ok := figures[m]; ok {
		return write(e)
	}
	return "–"
}

// better says which way a metric should go.
func better(m models.Metric) string {
	if m.HigherIsBetter() {
		return "↑"
	}
	return "↓"
}

func (e Evidence) metricsTable(p *page) {
	p.linef("## Metrics\n")
	writeMetrics(p, e.Task, e.championName(), e.Evaluation.Candidate, e.Evaluation.Champion, e.Evaluation.Gains)
	p.linef("\n↓: lower is better, ↑: higher is better. A gain above 0 says that the candidate is better, whatever the direction.\n")
}

func writeMetrics(p *page, task models.Task, championName string, candidate, champion, gains map[models.Metric]models.Estimate) {
	cells := []string{"metric", "candidate"}
	if len(champion) > 0 {
		cells = append(cells, plain(championName), "gain")
	}
	p.header(cells...)
	for _, m := range task.Metrics() {
		_, ok := candidate[m]
		_, other := champion[m]
		if !ok && !other {
			continue
		}
		cells := []string{string(m) + " " + better(m), figureOf(candidate, m, interval)}
		if len(champion) > 0 {
			cells = append(cells, figureOf(champion, m, interval), figureOf(gains, m, signed))
		}
		p.row(cells...)
	}
}

func (e Evidence) slicesTable(p *page) {
	if len(e.Evaluation.Slices) == 0 {
		return
	}
	p.linef("## Slices\n")
	cells := []string{"slice", "rows", "blocks", string(e.metric())}
	if e.compared() {
		cells = append(cells, plain(e.championName()), "gain", "gain, at the slices' level")
	}
	p.header(cells...)
	for _, s := range e.Evaluation.Slices {
		name := plain(gate.SliceName(s))
		switch {
		case !s.Judged:
			name += " (too few rows)"
		case s.Blocks < gate.MinBlocks:
			name += " (too few blocks to be judged)"
		}
		cells := []string{name, plot.Grouped(s.Rows), fmt.Sprint(s.Blocks), figureOf(s.Candidate, e.metric(), interval)}
		if e.compared() {
			cells = append(cells, figureOf(s.Champion, e.metric(), interval), optional(s.Gain, signed), optional(s.StrictGain, signed))
		}
		p.row(cells...)
	}
	p.linef("")
}

func (e Evidence) servingTable(p *page) {
	if e.Evaluation.Serving == nil {
		return
	}
	p.linef("## Serving\n")
	p.linef("%s\n", servingWords(*e.Evaluation.Serving))
}

func servingWords(s models.ServingFigures) string {
	text := fmt.Sprintf("Runtime %s, %s of files", s.Runtime, size(s.SizeBytes))
	if s.Latency == nil {
		return text + "; latency was not measured."
	}
	return text + fmt.Sprintf("; one row takes %.3g ms in the median and at most %.3g ms in 99 of 100 cases (%s rows timed).",
		s.Latency.P50Millis, s.Latency.P99Millis, plot.Grouped(int64(s.Latency.Requests)))
}

func size(bytes int64) string {
	switch v := float64(bytes); {
	case v >= 1<<30:
		return fmt.Sprintf("%.3g GiB", v/(1<<30))
	case v >= 1<<20:
		return fmt.Sprintf("%.3g MiB", v/(1<<20))
	default:
		return fmt.Sprintf("%.3g KiB", v/(1<<10))
	}
}

// figures is everything as JSON; what is no number was left out before.
func (e Evidence) figures() []byte {
	text, err := json.MarshalIndent(struct {
		Format     int                 `json:"format"` // 1
		Model      string              `json:"model"`
		Champion   string              `json:"champion,omitempty"`
		Task       models.Task         `json:"task"`
		Spec       models.EvaluateSpec `json:"spec"`
		Gate       models.GateVerdict  `json:"gate"`
		Evaluation models.Evaluation   `json:"evaluation"`
		Curves     curvesFile          `json:"curves"`
	}{1, e.Model, e.Champion, e.Task, e.Spec, e.Gate, e.Evaluation, curvesOf(e.Curves)}, "", "  ")
	if err != nil { // a verdict with a figure that is no number
		text = fmt.Appendf(nil, `{"format": 1, "error": %q}`, err.Error())
	}
	return append(text, '\n')
}

// curvesFile is metric.Curves under the names of the file.
type curvesFile struct {
	ROC                 [][2]float64            `json:"roc,omitempty"` // false positive rate, true positive rate
	ChampionROC         [][2]float64            `json:"champion_roc,omitempty"`
	PR                  [][2]float64            `json:"precision_recall,omitempty"` // recall, precision
	ChampionPR          [][2]float64            `json:"champion_precision_recall,omitempty"`
	Reliability         []models.ReliabilityBin `json:"reliability,omitempty"`
	ChampionReliability []models.ReliabilityBin `json:"champion_reliability,omitempty"`
}

func curvesOf(c metric.Curves) curvesFile { return curvesFile(c) }
