package demo

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// fixture is a year with two alarms: one retraining promoted, one refused.
func fixture(t *testing.T) *Story {
	t.Helper()
	file, err := os.Open("testdata/story.json")
	require.NoError(t, err)
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields() // a field that was renamed is not skipped
	var story Story
	require.NoError(t, decoder.Decode(&story))
	return &story
}

func rendered(t *testing.T, story *Story) string {
	t.Helper()
	page, err := renderHTML(story)
	require.NoError(t, err)
	checkDrawings(t, page)
	return string(page)
}

var drawing = regexp.MustCompile(`(?s)<svg.*?</svg>`)

// checkDrawings: every drawing is XML on its own, and every number is one.
func checkDrawings(t *testing.T, page []byte) {
	t.Helper()
	for _, found := range drawing.FindAll(page, -1) {
		decoder := xml.NewDecoder(bytes.NewReader(found))
		for {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, "%s", found)
		}
		require.NotRegexp(t, `="[^"]*(NaN|Inf)`, string(found))
	}
}

func TestReportTellsTheStory(t *testing.T) {
	page := rendered(t, fixture(t))
	for _, want := range []string{
		"2 alarms, 1 retraining promoted, 1 refused: version 2 is champion.",
		"The first lifecycle, as of 1 March 2013, made version 1 the champion, with log-loss 0.548 and AUC 0.712 on 11,852 held-out rows.",
		"On 3 August 2013 the monitor raised an alarm on version 1: conformal evidence 12.4 above the threshold of 11. The loss rose from 0.553 to 0.637 since 10 July 2013. Most of it is concept: the same flights have become harder.",
		"On 22 December 2013 the monitor raised an alarm on version 2: log-loss 0.672 since about 8 December 2013 against 0.561 in its reference, conformal evidence 11.9 above the threshold of 11.",
		"new champion", "retraining does not help", "change 10 Jul", "alarm 3 Aug",
		"The retraining as of 4 August 2013 was promoted as version 2. Its gain over the champion on 11,852 held-out rows was &#43;0.069",
		"The retraining as of 23 December 2013 was not promoted: log-loss gain -0.093",
		"The gateway answered 52,318 requests, 0 of them with an error.",
		`id="versions"`, `id="timeline"`, `id="loss"`, `id="martingale"`, `id="lifecycles"`, `id="traffic"`, `id="spec"`,
		"reference of version 1: ", "alarms at 11", "alarms at 55", "safe enough: 20", "rolls back: 100", "Restarts of agent-b",
		"60 GPU-seconds leased: starting 8 (13 %), computing 36 (60 %), checkpointing 6 (10 %), lost 10 (17 %)",
		"lost: 10 GPU-seconds, 16.7 %", "agent lost: its agent gave no sign of life", "Checkpoint passed over: step-60: sha256 of model.json differs",
		"http://127.0.0.1:8233/namespaces/mainspring/workflows/lifecycle%2Fflights%2F2013-08-04",
	} {
		require.Contains(t, page, want)
	}
	// timeline, loss, two detectors; a curve and days for each of three; two steps;
	// two accounts: the third training was made before there were any.
	require.Len(t, drawing.FindAllString(page, -1), 4+3*2+2+2)
	require.NotContains(t, page, "no data to draw")
}

// TestReportShowsEachMetricOfTheCanary: a plot and the judge's words for each,
// with its own thresholds, and what people did.
func TestReportShowsEachMetricOfTheCanary(t *testing.T) {
	story := fixture(t)
	rollout := story.Lifecycles[1].Rollout
	before := len(drawing.FindAllString(rendered(t, story), -1))
	step := &rollout.Steps[0]
	step.Shadow, step.Weight = 0.5, 0
	step.Verdict.Metrics = []models.MetricVerdict{
		{Metric: models.CanaryErrors, Harm: 1, Safe: 3, HarmThreshold: 200, SafeThreshold: 20, Reason: "0.2 % failed against 0.3 %"},
		{Metric: models.CanaryQuality, Harm: 2, Safe: 5, HarmThreshold: 300, SafeThreshold: 20, Reason: "loss 0.41 against 0.43"},
	}
	for i := range step.History {
		step.History[i].Metrics = []models.MetricLook{{Harm: 1, Safe: 2}, {Harm: 2, Safe: 1234}}
	}
	rollout.Orders = []models.RolloutOrder{{Action: models.RolloutPause, By: "kim", Reason: "upgrade <b>"}}
	page := rendered(t, story)
	require.Len(t, drawing.FindAllString(page, -1), before+1)
	for _, want := range []string{
		"copies of 50 % of the requests", "Failed requests", "0.2 % failed against 0.3 %", "rolls back: 200",
		"Loss on labels", "loss 0.41 against 0.43", "rolls back: 300", "safe 1,234", "pause by kim: upgrade &lt;b&gt;",
	} {
		require.Contains(t, page, want)
	}
}

func TestReportLoadsNothing(t *testing.T) {
	story := fixture(t)
	page := rendered(t, story)
	require.NotRegexp(t, `(?i)<script|<link|<iframe|<img|<object|@import|url\(|\ssrc\s*=`, page)
	for _, match := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		ours := false
		for _, address := range story.UI {
			ours = ours || strings.HasPrefix(match[1], address)
		}
		require.True(t, ours, "%s leads elsewhere", match[1])
	}
}

func TestReportWithoutData(t *testing.T) {
	page := rendered(t, &Story{})
	for _, want := range []string{
		"no champion", "Nothing has happened yet", "No version was registered.", "No retraining was started.", "no data to draw",
		"no lifecycle and no judged day to draw", "No alarm was raised.", "No lifecycle was seen.", "No workflow was started.",
	} {
		require.Contains(t, page, want)
	}
}

// TestReportOfAnUnfinishedYear: every part of the evidence may be missing.
func TestReportOfAnUnfinishedYear(t *testing.T) {
	full := fixture(t)
	for n := range full.Lifecycles {
		story := *full
		story.Blocks, story.Retrains = full.Blocks[:1], full.Retrains[:n%2]
		story.Lifecycles = append([]LifecycleStory{}, full.Lifecycles[:n+1]...)
		last := &story.Lifecycles[n]
		last.Failure, last.Curve, last.Rollout = "disk full", nil, nil
		last.Status = models.LifecycleStatus{Stage: models.StageTrain, Spec: last.Status.Spec}
		page := rendered(t, &story)
		require.Contains(t, page, "disk full")
		require.Contains(t, page, "It was never judged by the gate.")
	}
}

func TestReportEscapes(t *testing.T) {
	const hostile = `</title></svg><script>alert("1 & 2")</script>` + "\x00\x1b[31m\xff"
	story := fixture(t)
	story.Model, story.UI = hostile, map[string]string{"Temporal": `javascript:alert(1)`, hostile: hostile}
	story.Alarms[0].Version, story.Alarms[0].Action = hostile, hostile
	story.Retrains[0].Reason, story.Retrains[0].Version, story.Retrains[0].Trigger = hostile, hostile, hostile
	story.ModelVersions[0].Version, story.ModelVersions[0].URL = hostile, "javascript:alert(1)"
	story.Records[0].Reason, story.Events[0].Text = hostile, hostile
	story.Lifecycles[1].ID, story.Lifecycles[1].Status.Version = hostile, hostile
	story.Lifecycles[1].Rollout.Steps[0].Verdict.Reason = hostile
	for i := range story.Blocks[:40] {
		story.Blocks[i].Version = hostile
	}
	story.Spec.Model.Description = hostile
	training := story.Lifecycles[1].Status.Training
	training.Skipped[0], training.Attempts[0].Detail, training.Attempts[0].Nodes[0] = hostile, hostile, hostile
	page := rendered(t, story)
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, `href="javascript:`)
	require.Contains(t, page, "&lt;script&gt;")
}

// A check that was not made has not failed, and a warning is no failure.
func TestReportTellsOfTheData(t *testing.T) {
	html, err := renderHTML(&Story{Lifecycles: []LifecycleStory{{ID: "lifecycle/m/1", Status: models.LifecycleStatus{Snapshot: &models.Snapshot{
		Reused: true, Unread: true, Checks: []models.CheckResult{
			{Check: "schema", Passed: true, Message: "one type"},
			{Check: "skew", Skipped: "no endpoint", Message: "not made: no endpoint"},
			{Check: "nulls", Severity: models.SeverityWarn, Message: "too many nulls"},
		},
	}}}}})
	require.NoError(t, err)
	page := string(html)
	require.Contains(t, page, "source and spec are unchanged, nothing was read")
	require.Contains(t, page, `<span class="soft">not made</span> not made: no endpoint`)
	require.Contains(t, page, `<span class="inconclusive">warned</span> too many nulls`)
	require.Contains(t, page, `<span class="inconclusive">warning</span> nulls: too many nulls`)
	require.NotContains(t, page, `<span class="fail">failed</span>`)
}
