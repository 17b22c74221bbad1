// Package alarmpage writes down an alarm for people: one page with its plots
// that loads nothing from elsewhere, and the same as JSON. The same account
// gives the same bytes.
//
// # Vocabulary
//
//   - An account is everything that the page shows.
//   - Before is the reference: the champion's rows that it was not trained on. Now
//     is the blocks since the estimated change.
//   - The mix is the part of a rise of the loss that comes from more requests of
//     a hard kind; the concept is the part that comes from kinds that became
//     harder.
package alarmpage

import (
	"bytes"
	_ "embed" // for the template
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/internal/gate/exhibit/plot"
	"github.com/mainspring-ml/mainspring/models"
)

// Account is an alarm and what explains it.
type Account struct {
	Endpoint    string             `json:"endpoint"`
	Version     string             `json:"version"`
	Task        models.Task        `json:"task"`
	Alarm       models.Alarm       `json:"alarm"`
	Explanation models.Explanation `json:"explanation"` // without its files
	Inputs      models.InputReport `json:"inputs"`      // with everything that was compared
	// Blocks are the live ones, ReferenceLosses those of the reference's blocks.
	Blocks          []models.Block    `json:"blocks"`
	ReferenceLosses []float64         `json:"reference_losses"`
	Splits          []shift.Split     `json:"splits"` // over each column
	Histograms      []shift.Histogram `json:"histograms"`
	// Gate is what became of the retraining; nil: not known yet.
	Gate  *models.GateVerdict `json:"gate,omitempty"`
	Notes []string            `json:"notes,omitempty"`
}

// JSON writes the account for programs.
func (a Account) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the alarm's account: %w", err)
	}
	return append(data, '\n'), nil
}

//go:embed page.tmpl.html
var page string

// HTML writes the page.
func (a Account) HTML() ([]byte, error) {
	functions := template.FuncMap{
		"date": date, "figure": figure, "percent": percent, "evidence": evidence, "grouped": plot.Grouped, "signed": signed, "chance": chance, "short": short,
	}
	t, err := template.New("alarm").Funcs(functions).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("read the alarm page's template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, a); err != nil {
		return nil, fmt.Errorf("write the alarm's page: %w", err)
	}
	return b.Bytes(), nil
}

// The template calls these; everything drawn is a number, a class of ours, or
// escaped text.

// LossPlot shows the loss of blocks.
func (a Account) LossPlot() template.HTML { return template.HTML(a.drawLosses()) }

// EvidencePlot shows the martingale against its threshold.
func (a Account) EvidencePlot() template.HTML { return template.HTML(a.drawEvidence()) }

// SplitPlot shows the mix and the concept of the column that explains the most.
func (a Account) SplitPlot() template.HTML { return template.HTML(a.drawSplit()) }

// ClassifierPlot shows how well now can be told from before.
func (a Account) ClassifierPlot() template.HTML { return template.HTML(a.drawClassifier()) }

// HistogramPlots show the features that moved.
func (a Account) HistogramPlots() []template.HTML {
	var plots []template.HTML
	for _, h := range a.Histograms {
		plots = append(plots, template.HTML(drawHistogram(h)))
	}
	return plots
}

// Chosen is the split that is shown; nil: there is none.
func (a Account) Chosen() *shift.Split {
	for i := range a.Splits {
		if a.Splits[i].Column == a.Explanation.Column && a.Explanation.Column != "" {
			return &a.Splits[i]
		}
	}
	return nil
}

// Rise is the change of the mean loss.
func (a Account) Rise() float64 { return a.Explanation.Loss - a.Explanation.LossBefore }

func date(t time.Time) string {
	if t.IsZero() {
		return "not known"
	}
	return strings.TrimSuffix(t.UTC().Format("2 Jan 2006 15:04"), " 00:00")
}

func figure(v float64) string {
	switch size := math.Abs(v); {
	case size != 0 && (size < 1e-3 || size >= 1e5):
		return fmt.Sprintf("%.3g", v)
	case size >= 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

func signed(v float64) string {
	if text := figure(v); strings.HasPrefix(text, "-") {
		return "−" + text[1:]
	} else if v > 0 {
		return "+" + text
	}
	return "0"
}

func percent(share float64) string {
	if share > 0 && share < 0.001 {
		return "<0.1 %"
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

// chance is a p-value.
func chance(p float64) string {
	if p < 1e-4 {
		return "<0.0001"
	}
	return fmt.Sprintf("%.4f", p)
}

// short has three decimals whatever the size.
func short(v float64) string { return fmt.Sprintf("%.3f", v) }

func evidence(e float64) string {
	switch {
	case e >= 1e6:
		return plot.PowerOfTen(int(math.Log10(e)))
	case e >= 100:
		return plot.Grouped(int64(e))
	default:
		return fmt.Sprintf("%.3g", e)
	}
}
