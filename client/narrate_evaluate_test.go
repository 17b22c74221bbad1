package client

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func around(value, half float64) models.Estimate {
	return models.Estimate{Value: value, Low: value - half, High: value + half}
}

func TestEvaluationIsToldWithItsGains(t *testing.T) {
	spec := testSpec()
	e := models.Evaluation{
		Candidate: map[models.Metric]models.Estimate{models.LogLoss: around(0.4, 0.01), models.AUC: around(0.7, 0.02), models.F1: {Value: 0.5, Low: 0.5, High: 0.5}},
		Champion:  map[models.Metric]models.Estimate{models.LogLoss: around(0.43, 0.01), models.AUC: around(0.69, 0.02)},
		Gains:     map[models.Metric]models.Estimate{models.LogLoss: around(0.03, 0.01), models.AUC: around(-0.01, 0.02)},
		Slices:    []models.SliceEvidence{{Judged: true, Blocks: 14}, {Judged: true, Blocks: 5}, {Judged: true, Blocks: 2}, {}},
		Serving:   &models.ServingFigures{Runtime: models.RuntimeONNX, SizeBytes: 3 << 20, Latency: &models.Latency{Requests: 200, P50Millis: 1203.7, P99Millis: 59.3247}},
	}
	want := []string{
		"log_loss             0.4000 [0.3900, 0.4100]    champion 0.4300   gain +0.0300 [+0.0200, +0.0400]",
		"auc                  0.7000 [0.6800, 0.7200]    champion 0.6900   gain -0.0100 [-0.0300, +0.0100]",
		"f1                   0.5000",
		"2 slices judged, 2 not: too few rows or blocks",
		"served by onnx: 3.0 MiB, one row in 1204 ms (median), 59.32 ms (99 of 100), of 200",
	}
	require.Equal(t, want, metricTable(spec, e))

	// Evidence that has the gain of the gate's metric only.
	spec.Evaluate.Champion.Metric = models.AUC
	gain := around(-0.01, 0.02)
	e = models.Evaluation{Candidate: e.Candidate, Gain: &gain}
	require.Equal(t, "auc                  0.7000 [0.6800, 0.7200]                      gain -0.0100 [-0.0300, +0.0100]", metricTable(spec, e)[1])
	require.NotContains(t, metricTable(spec, e)[0], "gain")
}

func TestGateTableShowsWhatDecidedFirst(t *testing.T) {
	check := func(name, slice string, verdict models.Verdict) models.GateCheck {
		return models.GateCheck{Name: name, Slice: slice, Verdict: verdict, Figure: around(0.5, 0.1), Limit: "≤ 0.4"}
	}
	champion := around(0.45, 0)
	failed := check("log_loss", "", models.VerdictFail)
	failed.Champion = &champion
	gate := models.GateVerdict{Checks: []models.GateCheck{
		check("brier", "", models.VerdictPass), check("auc", "", models.VerdictInconclusive), failed,
		check("log_loss", "carrier=AA", models.VerdictPass), check("log_loss", "carrier=B6", models.VerdictFail),
		check("slice", "carrier=HA", ""),
	}}
	require.Equal(t, []string{
		"log_loss                     fail         0.5000 [0.4000, 0.6000]    ≤ 0.4 (champion 0.4500)",
		"log_loss in carrier=B6       fail         0.5000 [0.4000, 0.6000]    ≤ 0.4",
		"auc                          inconclusive 0.5000 [0.4000, 0.6000]    ≤ 0.4",
		"brier                        pass         0.5000 [0.4000, 0.6000]    ≤ 0.4",
		"1 check of slices passed",
		"1 slice not judged: too few rows or blocks",
	}, GateTable(gate))

	// Long figures keep the columns apart.
	long := check("rmse gain over the champion", "", models.VerdictFail)
	long.Figure = around(-2221.5, 0.05)
	lines := GateTable(models.GateVerdict{Checks: []models.GateCheck{long, check("rmse", "", models.VerdictPass)}})
	require.Equal(t, strings.Index(lines[0], "≤"), strings.Index(lines[1], "≤"))

	gate.Checks = nil
	for i := range 50 {
		gate.Checks = append(gate.Checks, check("log_loss gain over the champion", fmt.Sprintf("carrier=%02d", i), models.VerdictInconclusive))
	}
	table := GateTable(gate)
	require.Len(t, table, slicesShown+1)
	require.Contains(t, table[0], "log_loss gain over the champion in carrier=00 inconclusive ")
	require.Contains(t, table[slicesShown], "and 38 more checks of slices that did not pass")
}

// TestFiguresAreShort: a figure of 0 is one, and what was not measured is not.
func TestFiguresAreShort(t *testing.T) {
	exactly := func(v float64) models.Estimate { return models.Estimate{Value: v, Low: v, High: v} }
	for want, check := range map[string]models.GateCheck{
		"0":     {Name: "log_loss gain over the champion", Verdict: models.VerdictFail},
		"-":     {Name: "gain over the champion", Verdict: models.VerdictPass},
		" -":    {Name: "latency p99 (ms)", Verdict: models.VerdictInconclusive},
		"14":    {Name: "held-out blocks", Verdict: models.VerdictPass, Figure: exactly(14)},
		"0.128": {Name: "model size (MiB)", Verdict: models.VerdictPass, Figure: exactly(0.128423)},
		"59.32": {Name: "latency p99 (ms)", Verdict: models.VerdictPass, Figure: exactly(59.3247)},
		"12000": {Name: "latency p99 (ms)", Verdict: models.VerdictFail, Figure: exactly(12000)},
	} {
		require.Equal(t, strings.TrimSpace(want), describeFigure(check))
	}
}

// TestApprovalIsTold: who is asked for what, until when and how to answer; then
// the answer.
func TestApprovalIsTold(t *testing.T) {
	began := time.Now()
	status := models.LifecycleStatus{Stage: models.StageApprove, WaitingFor: "a person's approval", Version: "3", Spec: testSpec(),
		Started: map[models.Stage]time.Time{models.StageApprove: began}, Ended: map[models.Stage]time.Time{}}
	story := newNarrator(began)
	seen := observation{Status: status, Steward: &models.StewardStatus{Waiting: "version 3 waits for an approval",
		StewardState: models.StewardState{Approvals: []models.PendingApproval{pending("2"), pending("3")}}}}
	lines := append(story.tell(seen, began), story.tell(seen, began)...)
	status.Ended = map[models.Stage]time.Time{models.StageApprove: began.Add(time.Minute)}
	status.Stage, status.Approval = models.StageRollout, &models.Approval{Version: "3", Verdict: models.VerdictPass, By: "kim", Reason: "read it"}
	lines = append(lines, story.tell(observation{Status: status}, began)...)
	checkLines(t, strings.Join(lines, "\n"), []string{
		"  approve   started",
		"  approve   waiting for approval of version 3 until 2026-11-28 12:00 UTC: mainspring approve delay 3 --reason …",
		"  approve   ended after 1m0s: approved by kim: read it",
	})
}

// TestFollowLooksAtTheStewardWhileItWaits: before the question stands the
// lifecycle's own words are told.
func TestFollowLooksAtTheStewardWhileItWaits(t *testing.T) {
	status := models.LifecycleStatus{Stage: models.StageApprove, WaitingFor: "a person's approval", Version: "3", Spec: testSpec()}
	server := newFakeServer(scene{status: map[string]any{testLifecycle: status,
		"model/delay": models.StewardStatus{StewardState: models.StewardState{Approvals: []models.PendingApproval{pending("3")}}}}})
	seen, err := newTestClient(t, server).observe(t.Context(), testLifecycle)
	require.NoError(t, err)
	require.Contains(t, describeQuestion(models.StageApprove, seen), "mainspring approve delay 3")

	seen.Steward.Approvals = nil
	require.Empty(t, describeQuestion(models.StageApprove, seen))
	require.Empty(t, describeQuestion(models.StageRegister, seen))
	require.Empty(t, describeQuestion(models.StageApprove, observation{Status: status}))
}

func TestAliasesMovedByHandAreTold(t *testing.T) {
	began := time.Now()
	status := models.LifecycleStatus{Stage: models.StageRollout, Spec: testSpec(), Started: map[models.Stage]time.Time{models.StageRollout: began}}
	steward := &models.StewardStatus{Waiting: "the promotion of version 3 waits: …", StewardState: models.StewardState{Differences: []models.AliasDifference{
		{Alias: "champion", Recorded: "2", Found: "1"}, {Alias: "previous", Recorded: "1", Deleted: true}, {Alias: "challenger", Found: "7"}}}}
	story := newNarrator(began)
	seen := observation{Status: status, Steward: steward}
	lines := append(story.tell(seen, began), story.tell(seen, began)...)
	checkLines(t, strings.Join(lines, "\n"), []string{
		"  rollout   started",
		"  rollout   somebody moved the alias champion: it is at version 1 in MLflow, at 2 in the record; see `mainspring aliases delay`",
		"  rollout   alias previous is gone: version 1 was deleted in MLflow; see `mainspring aliases delay`",
		"  rollout   somebody moved the alias challenger: it is at version 7 in MLflow, at none in the record; see `mainspring aliases delay`",
		"  rollout   the promotion of version 3 waits: …",
	})
}
