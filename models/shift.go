package models

import (
	"context"
	"fmt"
	"time"
)

// ReferenceRequest asks for what live blocks are held against.
type ReferenceRequest struct {
	Endpoint string       `json:"endpoint"`
	Watch    WatchRequest `json:"watch"`
}

// MonitorReference is the champion's own rows as blocks: those that it was not
// trained on, out of fold and held out.
type MonitorReference struct {
	// Object has the bins, slices, calibration and blocks; see internal/drift.
	Object *Ref        `json:"object,omitempty"`
	Blocks []BlockLoss `json:"blocks"` // newest last; the last 120
	Loss   float64     `json:"loss"`   // their mean
	Note   string      `json:"note,omitempty"`
}

// LossReference is a reference of losses whose blocks nobody knows, oldest first:
// inputs and slices are compared with nothing.
func LossReference(losses []float64, note string) MonitorReference {
	reference := MonitorReference{Blocks: []BlockLoss{}, Note: note}
	for _, loss := range losses {
		reference.Blocks = append(reference.Blocks, BlockLoss{Loss: loss})
	}
	reference.Loss = MeanLoss(reference.Blocks)
	return reference
}

// CompareRequest asks how live blocks differ from the reference.
type CompareRequest struct {
	Endpoint  string      `json:"endpoint"`
	Version   string      `json:"version"`
	Spec      MonitorSpec `json:"spec"`
	Data      DataSpec    `json:"data"`
	Reference Ref         `json:"reference"`
	// Blocks are those with evidence since the champion is watched, oldest first;
	// the last 400.
	Blocks []OpenBlock `json:"blocks"`
	// Recent is how many of the last are put together as "now".
	Recent int `json:"recent"`
}

// InputReport says which inputs and slices are not what they were. It explains
// and starts nothing.
type InputReport struct {
	From     time.Time      `json:"from"` // of the blocks that are "now"
	To       time.Time      `json:"to"`
	Blocks   int            `json:"blocks"`
	Rows     int64          `json:"rows"`
	Features []FeatureShift `json:"features"` // strongest evidence first; at most 20
	Slices   []SliceShift   `json:"slices"`   // strongest evidence first; at most 20
	Note     string         `json:"note,omitempty"`
}

// FeatureShift is how far one feature is from the reference.
type FeatureShift struct {
	Feature string `json:"feature"`
	Type    string `json:"type"` // number or category
	// PSI is without the part that sampling alone makes; PSIP its p-value were
	// rows independent, which they are not: it is for comparison with other tools.
	PSI         float64 `json:"psi"`
	PSIP        float64 `json:"psi_p"`
	JS          float64 `json:"js"`                    // Jensen-Shannon distance, base 2: 0 to 1
	Wasserstein float64 `json:"wasserstein,omitempty"` // in standard deviations of the reference
	ChiP        float64 `json:"chi2_p"`                // as PSIP
	Nulls       float64 `json:"nulls"`                 // share now
	NullsBefore float64 `json:"nulls_before"`
	Unseen      float64 `json:"unseen,omitempty"` // share of categories that the reference lacks
	// EValue is the evidence that the feature's blocks are not exchangeable with
	// the reference's; Moved, that it is beyond what the level allows.
	EValue float64 `json:"e_value"`
	Moved  bool    `json:"moved"`
}

// SliceShift is how one slice's share of the traffic and its loss changed.
type SliceShift struct {
	Column      string  `json:"column"`
	Slice       string  `json:"slice"`
	Rows        int64   `json:"rows"` // labelled, now
	ShareBefore float64 `json:"share_before"`
	Share       float64 `json:"share"`
	LossBefore  float64 `json:"loss_before"`
	Loss        float64 `json:"loss"`
	// Mix and Concept are its parts of the change of the whole's loss: there is
	// more or less of it, and it is harder or easier than it was.
	Mix     float64 `json:"mix"`
	Concept float64 `json:"concept"`
	EValue  float64 `json:"e_value"` // that its loss rose
	Moved   bool    `json:"moved"`
}

// ExplainRequest asks why the loss rose.
type ExplainRequest struct {
	Compare CompareRequest `json:"compare"` // Recent reaches back to the change
	Alarm   Alarm          `json:"alarm"`
	// Shown are the blocks for the plots, newest last.
	Shown []Block `json:"shown"`
	// Gate is what became of the retraining; nil: not known yet.
	Gate *GateVerdict `json:"gate,omitempty"`
}

// Explanation is an alarm's report in short.
type Explanation struct {
	Words string `json:"words"` // two sentences
	// The change of the mean loss, split over the column of slices that explains
	// the most of it by its mix.
	LossBefore float64 `json:"loss_before"`
	Loss       float64 `json:"loss"`
	Column     string  `json:"column,omitempty"`
	Mix        float64 `json:"mix"`
	Concept    float64 `json:"concept"`
	// Slices and Features are the five with the strongest evidence.
	Slices   []SliceShift   `json:"slices,omitempty"`
	Features []FeatureShift `json:"features,omitempty"`
	// Classifier is how well rows of now can be told from those of the reference
	// by their inputs, as an AUC: 0.5 not at all, 1 always. What comes out below
	// 0.5 by chance is 0.5.
	Classifier *Estimate `json:"classifier,omitempty"`
	// Report is the page with the plots, Data the same as JSON.
	Report *Ref `json:"report,omitempty"`
	Data   *Ref `json:"data,omitempty"`
}

// Apart says what Classifier means; empty without it.
func (e Explanation) Apart() string {
	switch c := e.Classifier; {
	case c == nil:
		return ""
	case c.Low <= 0.5:
		return "By their inputs, requests of now can't be told from rows of before by more than chance."
	default:
		return fmt.Sprintf("By their inputs alone, the request of now is picked out of one of now and one of before in about %.0f %% of cases; guessing finds it in 50 %%.", 100*c.Value)
	}
}

// DriftExplanation says what live traffic is held against, and how it differs.
type DriftExplanation interface {
	// BuildReference writes the reference of a champion. The same champion and
	// spec give the same object.
	BuildReference(context.Context, ReferenceRequest) (MonitorReference, error)
	CompareInputs(context.Context, CompareRequest) (InputReport, error)
	ExplainAlarm(context.Context, ExplainRequest) (Explanation, error)
}
