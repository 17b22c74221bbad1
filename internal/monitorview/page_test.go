package monitorview

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

var asked = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// fixture is five months of two versions: the first decays, and a retraining is
// promoted; the second begins to decay and is paused.
func fixture(t *testing.T) models.MonitorStatus {
	t.Helper()
	file, err := os.Open("testdata/status.json")
	require.NoError(t, err)
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields() // a field that was renamed is not skipped
	var status models.MonitorStatus
	require.NoError(t, decoder.Decode(&status))
	return status
}

func rendered(t *testing.T, status models.MonitorStatus) string {
	t.Helper()
	page, err := Render(Page{Status: status, Link: "http://127.0.0.1:8233/x", At: asked})
	require.NoError(t, err)
	for _, found := range drawing.FindAllString(string(page), -1) {
		for decoder := xml.NewDecoder(strings.NewReader(found)); ; {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, "%s", found)
		}
		require.NotRegexp(t, `="[^"]*(NaN|Inf)`, found)
	}
	return string(page)
}

var drawing = regexp.MustCompile(`(?s)<svg.*?</svg>`)

func TestThePageTellsWhatTheMonitorKnows(t *testing.T) {
	page := rendered(t, fixture(t))
	if path := os.Getenv("MONITOR_PAGE"); path != "" { // to look at
		require.NoError(t, os.WriteFile(path, []byte(page), 0o644))
	}
	for _, want := range []string{
		"<title>monitor of flights</title>",
		"Version 2 of flight-delay answers with a mean loss of ", "that of 2013-07-30; its reference is 0.553.",
		"No alarm is open.", "Alarms start nothing: kim@ops: the upstream is being upgraded.",
		"All detectors together raise at most 0.1 false alarms a year on average",
		"alarms at 13.8", "alarms at 55", "reference of version 2: 0.553", "promised: at most 0.578",
		"alarm 14 Jun", "change 3 Jun", `<span class="tag promoted">new champion</span>`,
		"The loss is 0.637 since about 2013-06-03, against 0.553 in the reference.",
		"The loss rose from 0.553 to 0.637 since about 3 June", "concept shift", "AUC of 0.61",
		"mainspring monitor flights --alarm 2013-06-14 --report alarm.html", "s3://mainspring/monitors/flights/alarms/2013-06-14/report.html",
		"dep_hour", "origin = EWR", "0.2 %, was 0 %", "3.1 %", "2026-11-25 11:59:00", "kim@ops",
		"failed: HTTP 500, given up after an hour", "150 blocks, newest first", "too few labels", "no requests",
		"final, was ", `&#34;false_alarms_per_year&#34;: 0.1`, "As of 2026-11-25 12:00:00 UTC",
	} {
		require.Contains(t, page, want)
	}
	// loss, estimated, two detectors, one split.
	require.Len(t, drawing.FindAllString(page, -1), 5)
	require.NotContains(t, page, "no data to draw")
}

// TestMeasuredAndEstimatedLossAreApart: nothing of the estimate is in the
// picture of the measured loss.
func TestMeasuredAndEstimatedLossAreApart(t *testing.T) {
	status := fixture(t)
	require.NotContains(t, string(historyOf(status).LossPlot()), "stimated")
	require.Contains(t, string(historyOf(status).EstimatedPlot()), `class="line c1 dashed"`)
	for i := range status.Blocks {
		status.Blocks[i].Estimated = 0
	}
	status.Ahead = nil
	require.Empty(t, historyOf(status).EstimatedPlot())
	require.NotContains(t, rendered(t, status), `id="estimated"`)
}

// TestBlocksThatMayChangeAreHollow: the last two are not final.
func TestBlocksThatMayChangeAreHollow(t *testing.T) {
	require.Equal(t, 2, strings.Count(string(historyOf(fixture(t)).LossPlot()), `class="dot open c1"`))
}

// TestEvidenceHasAGapWhereDetectorsRest: no line leads over blocks that were not
// judged.
func TestEvidenceHasAGapWhereDetectorsRest(t *testing.T) {
	status := fixture(t)
	status.Blocks = status.Blocks[95:112] // the alarm is at 103, and the rest was not judged
	status.Blocks[16].Looks = []models.DetectorLook{{P: 0.5, Value: 1}, {P: 1, Value: 1}}
	drawn := string(historyOf(status).EvidencePlot(0, 470))
	path := regexp.MustCompile(`<path d="([^"]*)"`).FindStringSubmatch(drawn)[1]
	require.Equal(t, 2, strings.Count(path, "M"), path)
	require.Equal(t, 10, strings.Count(drawn, "<title>2013-"), "one dot a judged block")
}

func TestAPageWithoutMuchToShow(t *testing.T) {
	page := rendered(t, models.MonitorStatus{MonitorState: models.MonitorState{Endpoint: "flights"}, Waiting: "the first champion"})
	require.Contains(t, page, "No champion is watched yet.")
	require.Contains(t, page, "no data to draw")
	status := fixture(t)
	status.Reference, status.Inputs, status.Blocks, status.Alarms, status.Actions = nil, nil, nil, nil, nil
	require.Contains(t, rendered(t, status), "none of its blocks has enough labels yet")
	status = fixture(t)
	status.Alarms[0].Settled, status.Alarms[0].State, status.Alarms[0].Action = false, models.AlarmPerson, ""
	status.Alarms[0].Explanation = nil
	status.Trouble = "S3 does not answer"
	page = rendered(t, status)
	require.Contains(t, page, "Blocks can&#39;t be scored: S3 does not answer.")
	require.Contains(t, page, "The alarm of 2013-06-14 is open: a person must decide.")
	require.Contains(t, page, "It is not explained yet.")
}

func TestThePageLoadsNothingAndEscapes(t *testing.T) {
	status := fixture(t)
	const hostile = `<script>alert(1)</script>`
	status.Endpoint, status.Waiting, status.Paused = hostile, hostile, hostile
	status.Watch.Version, status.Watch.Model = hostile, hostile
	status.Blocks[149].Version = hostile
	status.Alarms[0].Action, status.Alarms[0].Explanation.Words, status.Alarms[0].Explanation.Column = hostile, hostile, hostile
	status.Inputs.Features[0].Feature, status.Inputs.Slices[0].Slice = hostile, hostile
	status.Actions[4].Text, status.Actions[4].By = hostile, hostile
	status.Detector.Detectors[1].Spec.Column, status.Detector.Detectors[1].Spec.Slice = hostile, hostile
	page := rendered(t, status)
	require.NotContains(t, page, "<script")
	require.Contains(t, page, "&lt;script&gt;")
	require.NotRegexp(t, `(?i)<link|<iframe|<img|<object|@import|url\(|\ssrc\s*=`, page)
	for _, match := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		require.Equal(t, "http://127.0.0.1:8233/x", match[1])
	}
}

func TestNumbersThatAreNone(t *testing.T) {
	status := fixture(t)
	status.Blocks[3].Loss = math.NaN()
	status.Blocks[4].Looks[0].Value = math.Inf(1)
	status.Reference.Loss = math.NaN()
	status.Detector.Detectors[0].Threshold = math.Inf(1)
	rendered(t, status)
}

func TestChangesHaveTheDigitsThatMatter(t *testing.T) {
	require.Equal(t, "+0.0414", signed(0.04141, 0.528))
	require.Equal(t, "-0.0004", signed(-0.000367, 0.528))
	require.Equal(t, "+37", signed(36.7, 1204))
	require.Equal(t, "+0.000005", signed(5e-6, 0.0012))
}

func TestTheSplitHasBothDirections(t *testing.T) {
	require.Empty(t, SplitPlot(models.Explanation{}))
	drawn := string(SplitPlot(models.Explanation{Column: "origin", Mix: -0.02, Concept: 0.04}))
	require.Contains(t, drawn, ">-0.0200</text>")
	require.Contains(t, drawn, ">+0.0400</text>")
	require.Contains(t, drawn, "band good")
	require.Contains(t, string(SplitPlot(models.Explanation{Column: "origin"})), ">+0.0000</text>")
}
