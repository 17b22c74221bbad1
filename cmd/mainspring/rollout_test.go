package main

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/models"
)

// underWay is a rollout in its second step, paused by a person.
func underWay() client.Rollout {
	deploy := models.DeploySpec{Endpoint: "flights", Canary: models.CanarySpec{Steps: []float64{10, 50}, Latency: &models.LatencySpec{SLO: models.Duration(50 * time.Millisecond)}}}.WithDefaults()
	return client.Rollout{
		WorkflowID: "model/delay/rollout-7", Started: noon.Add(-12 * time.Minute), Page: "http://127.0.0.1:8233/x",
		Status: models.RolloutStatus{
			Version: "7", Champion: "5", Endpoint: "flights", Model: "delay", Spec: deploy.Canary, Waiting: "evidence at 10 % of the traffic",
			RolloutState: models.RolloutState{
				Steps: []models.CanaryStep{
					{Weight: 0, Shadow: 1, StartedAt: noon.Add(-12 * time.Minute), Verdict: models.CanaryVerdict{Verdict: models.VerdictInconclusive}},
					{
						Weight: 0.1, StartedAt: noon.Add(-4 * time.Minute),
						Champion: models.ArmCounts{Requests: 10820, Errors: 22, Slow: 40, P50Millis: 1.2, P99Millis: 9.1},
						Canary:   models.ArmCounts{Requests: 1204, Errors: 3, Slow: 5, P50Millis: 1.25, P99Millis: 9.4},
						Verdict: models.CanaryVerdict{Verdict: models.VerdictInconclusive, Reason: "both undecided", Metrics: []models.MetricVerdict{
							{Metric: models.CanaryErrors, Harm: 1.5, HarmThreshold: 200, Safe: 17, SafeThreshold: 20, Reason: "0.25 % against 0.2 %"},
							{Metric: models.CanaryLatency, Harm: 0.4, HarmThreshold: 200, Safe: 20, SafeThreshold: 20, Reason: "0.42 % slow against 0.37 %"},
						}},
					},
				},
				Orders: []models.RolloutOrder{{Action: models.RolloutPause, By: "kim", Reason: "upstream is being upgraded", At: noon.Add(-time.Minute)}},
				Paused: true,
			},
		},
	}
}

func framed(r client.Rollout) string {
	return strings.Join(rolloutFrame{layout{columns: 120}, r, noon}.lines(), "\n") + "\n"
}

func TestRolloutUnderWayIsPrinted(t *testing.T) {
	require.Equal(t, ` flights · version 7 against version 5
 began 2026-11-25 11:48:00Z, 12m0s ago

            canary                  champion
 requests   1,204 (10 %)            10,820 (90 %)
 errors     3 (0.249 %)             22 (0.203 %)
 slow       5 (0.415 %)             40 (0.37 %)
 p50, p99   1.25, 9.4 ms            1.2, 9.1 ms

 errors     safe ███████████████▏ 17 of 20            harm █▎·············· 1.5 of 200
            0.25 % against 0.2 %
 latency    safe ████████████████ 20 of 20            harm ················ 0.4 of 200
            0.42 % slow against 0.37 %

 steps      shadow done → 10 % now → 50 %
 deadline   waits while the rollout is paused
 by hand    2026-11-25 11:59:00Z pause by kim: upstream is being upgraded
 paused     the weight stays
 waits for  evidence at 10 % of the traffic
 judge      both undecided
 page       http://127.0.0.1:8233/x
`, trimmed(framed(underWay())))
}

// trimmed takes the padding at the ends of lines away.
func trimmed(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func TestEndedRolloutsArePrinted(t *testing.T) {
	r := underWay()
	r.Closed, r.Status.Paused = noon, false
	r.Result = &models.RolloutResult{Verdict: models.VerdictFail, Reason: "harm at 10 %", Exposed: models.Exposure{Requests: 1204, Errors: 3, Total: 24000, Share: 0.0502}}
	text := framed(r)
	require.Contains(t, text, "began 2026-11-25 11:48:00Z, took 12m0s")
	require.Contains(t, text, "ended      rolled back: harm at 10 %")
	require.Contains(t, text, "exposed    5.02 % of 24,000 requests, of which 3 failed")
	require.NotContains(t, text, "deadline")
	require.NotContains(t, text, "waits for")
	require.NotContains(t, text, "50 %", "no step comes any more")

	r.Result = &models.RolloutResult{Verdict: models.VerdictPass, By: "kim", Reason: "customers wait"}
	require.Contains(t, framed(r), "ended      passed by kim: customers wait")
	r.Status.Steps = nil
	require.NotContains(t, framed(r), "steps")
	r.Result, r.Failure = nil, "model/delay/rollout-7 was terminated"
	require.Contains(t, framed(r), "ended      model/delay/rollout-7 was terminated")
}

// TestLongReasonsGoOnBelow: nothing that the judge says is cut off.
func TestLongReasonsGoOnBelow(t *testing.T) {
	r := underWay()
	words := strings.Repeat("word ", 60)
	r.Status.Steps[1].Verdict.Metrics[0].Reason = words
	r.Status.Waiting = words
	text := framed(r)
	require.Equal(t, 120, strings.Count(text, "word"))
	require.Contains(t, text, " waits for  word word")
	require.Contains(t, text, "\n            word")
}

// TestRolloutFrameFits: nothing is wider than the terminal, whatever people
// write, and nothing of theirs moves the cursor.
func TestRolloutFrameFits(t *testing.T) {
	r := underWay()
	r.Status.Orders[0].Reason = strings.Repeat("\x1b[2J漢字\n", 60)
	for _, columns := range []int{20, 80, 200} {
		for _, line := range (rolloutFrame{layout{paint: true, columns: columns}, r, noon}).lines() {
			require.Less(t, ansi.StringWidth(line), columns)
			require.NotContains(t, line, "\x1b[2J")
			require.NotContains(t, line, "\n")
		}
	}
	require.NotPanics(t, func() { rolloutFrame{layout{columns: 80}, client.Rollout{WorkflowID: "x"}, noon}.lines() })
}

// TestJudgeDoesNotRepeatItsMetrics: what is in their lines is not said again,
// and what is not, is said.
func TestJudgeDoesNotRepeatItsMetrics(t *testing.T) {
	one := []models.MetricVerdict{{Reason: "0 of 3"}}
	two := append(one, models.MetricVerdict{Reason: "no label"})
	for reason, want := range map[string]string{
		"undecided at 10 %: 0 of 3":                                 "",
		"undecided at 10 %: 0 of 3; no requests reach the endpoint": "no requests reach the endpoint",
		"12 copies were answered without evidence of harm":          "12 copies were answered without evidence of harm",
	} {
		require.Equal(t, want, beyondMetrics(models.CanaryVerdict{Reason: reason, Metrics: one}))
	}
	require.Equal(t, "labels: none", beyondMetrics(models.CanaryVerdict{Reason: "undecided: 0 of 3; no label; labels: none", Metrics: two}))
	require.Equal(t, "harm", beyondMetrics(models.CanaryVerdict{Reason: "harm"}))

	r := underWay()
	r.Status.Steps[1].Verdict.Reason = "undecided at 10 %: 0.25 % against 0.2 %; 0.42 % slow against 0.37 %"
	require.NotContains(t, framed(r), "judge")
	r.Status.Paused, r.Status.Deadline = false, noon.Add(3*time.Hour)
	require.Contains(t, framed(r), "deadline   in 3h0m, of 1d at this weight; an undecided step rolls back then")
	r.Status.Deadline = noon.Add(-time.Second)
	require.Contains(t, framed(r), "deadline   in 0s, of 1d")
	r.Status.Steps[1].Verdict.Metrics = r.Status.Steps[1].Verdict.Metrics[:1]
	r.Status.Steps[1].Verdict.Reason = "undecided at 10 %: 0.25 % against 0.2 %; no requests reach the endpoint since 2m"
	require.Contains(t, framed(r), "judge      no requests reach the endpoint since 2m")
}

func TestWhatAnOrderDid(t *testing.T) {
	status := underWay().Status
	require.Contains(t, ordered("flights", models.RolloutPause, status), "the rollout of version 7 is paused")
	require.Contains(t, ordered("flights", models.RolloutAbort, status), "all traffic goes back to version 5")
	status.Champion, status.Serving = "", false
	require.Contains(t, ordered("flights", models.RolloutAbort, status), "it gets no traffic")
	require.Contains(t, ordered("flights", models.RolloutPromote, status), "once its servers are ready")
}
