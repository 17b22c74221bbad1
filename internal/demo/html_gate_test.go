package demo

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func judgedLifecycle() LifecycleStory {
	gate := models.GateVerdict{Verdict: models.VerdictFail, Reason: "refused"}
	for i := range 20 {
		gate.Checks = append(gate.Checks, models.GateCheck{Name: "auc", Slice: fmt.Sprintf("carrier = C%d", i), Verdict: models.VerdictPass, Limit: "≥ 0.5"})
	}
	gate.Checks = append(gate.Checks,
		models.GateCheck{Name: "log_loss", Verdict: models.VerdictPass, Figure: models.Estimate{Value: 0.5, Low: 0.4, High: 0.6},
			Champion: &models.Estimate{Value: 0.51, Low: 0.41, High: 0.61}, Limit: "≤ 0.75"},
		models.GateCheck{Name: "auc", Slice: "carrier = <b>", Verdict: models.VerdictFail, Limit: "≥ 0.5"})
	evaluation := models.Evaluation{
		Reliability: []models.ReliabilityBin{{High: 0.1, Rows: 12, Predicted: 0.04, Observed: 0.06}, {Low: 0.1, High: 0.2}},
		Serving:     &models.ServingFigures{Runtime: models.RuntimeONNX, SizeBytes: 2 << 20, Latency: &models.Latency{Requests: 200, P50Millis: 0.21, P99Millis: 0.9}},
	}
	return LifecycleStory{ID: "lifecycle/m/1", Status: models.LifecycleStatus{Gate: &gate, Evaluation: &evaluation,
		Approval: &models.Approval{Verdict: models.VerdictFail, By: "ada", Reason: "odd slices"}}}
}

func TestReportShowsWhatDecidedFirst(t *testing.T) {
	gate := gateOf(judgedLifecycle())
	require.Len(t, gate.Rows, checksShown)
	require.Equal(t, "AUC, carrier = <b>", gate.Rows[0].Title)
	require.Equal(t, "log-loss", gate.Rows[1].Title, "all rows before slices")
	require.Contains(t, gate.More, "8 checks more")
	require.Nil(t, gateOf(LifecycleStory{}))
}

func TestReportShowsTheGatesEvidence(t *testing.T) {
	story := fixture(t)
	story.Lifecycles = []LifecycleStory{judgedLifecycle()}
	story.ModelVersions = []Version{{Version: "1", SigningKey: "0123456789abcdef"}, {Version: "2"}}
	page := rendered(t, story)
	for _, text := range []string{
		"carrier = &lt;b&gt;", "0.5100 [0.4100, 0.6100]", "Calibration", "of 12 rows predicted about 4 %, 6 % had the outcome", "fewer than 20 rows",
		"2.0 MiB of model files", "0.21 ms in the median", "by ada: odd slices", "0123456789ab", "not signed",
	} {
		require.Contains(t, page, text)
	}
}

func TestReportSaysWhetherTheRecordHolds(t *testing.T) {
	var records []models.Record
	sequence, hash := int64(3), "abc" // earlier ones are archived
	for range 3 {
		r := models.Record{At: time.Unix(1, 0), Action: models.ActionRegistered, By: "lifecycle/m/1"}.Follow(sequence, hash)
		records, sequence, hash = append(records, r), r.Sequence, r.Hash
	}
	require.Equal(t, "unbroken, up to "+hash[:12], chainWords(records))
	records[1].By = "somebody else"
	require.Contains(t, chainWords(records), "broken: record 5")
	require.Empty(t, chainWords(nil))
}
