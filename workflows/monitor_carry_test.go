package workflows

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// aYear has judged a year of daily blocks with two detectors; its alarms are
// explained in full.
func aYear(t *testing.T) *judge {
	t.Helper()
	s := tell(3, models.Day, models.Day)
	s.days = 365
	for d := range s.days {
		if d >= len(s.first) {
			s.first, s.last = append(s.first, s.first[d%100]), append(s.last, s.last[d%100])
		}
		for _, b := range []*models.Block{&s.first[d], &s.last[d]} {
			b.Start, b.End, b.Evidence = origin.AddDate(0, 0, d), origin.AddDate(0, 0, d+1), true
			b.Rate, b.Predicted, b.Estimated = .2312345678912345, .2212345678912345, .5012345678912345
		}
	}
	s.watch.Data = models.DataSpec{Source: "s3://mainspring/data/flights/", Time: "sched_dep", Label: "late",
		Features: slices.Repeat([]string{"minutes_since_midnight"}, 20)}
	j := s.judge()
	j.state.Reference = &models.MonitorReference{Loss: .5, Blocks: slices.Repeat([]models.BlockLoss{{Loss: .512345}}, 120),
		Object: &models.Ref{URI: "s3://mainspring/monitor/flights/7/reference.json", SHA256: strings.Repeat("a", 64), Size: 123456}}
	s.read(t, j, origin.AddDate(0, 0, 400), func() int { return 31 })
	require.Len(t, j.state.Blocks, 365)
	require.Equal(t, []models.BlockRun{{Start: origin, Length: models.Day, Count: 365}}, j.state.Evidence)
	require.Greater(t, len(s.alarms), 1)
	x, long := .123456789012345, strings.Repeat("because ", 20)
	feature := models.FeatureShift{Feature: "minutes_since_midnight", Type: "number", PSI: x, PSIP: x, JS: x, Wasserstein: x, ChiP: x, Nulls: x, NullsBefore: x, EValue: x}
	slice := models.SliceShift{Column: "origin", Slice: "(12, 40]", Rows: 1234, ShareBefore: x, Share: x, LossBefore: x, Loss: x, Mix: x, Concept: x, EValue: x}
	for _, a := range s.alarms {
		a.State, a.Action, a.Lifecycle = models.AlarmNotHelping, long, "lifecycle/flight-delay/2013-04-12"
		a.Explanation = &models.Explanation{Words: long, Slices: slices.Repeat([]models.SliceShift{slice}, 5), Features: slices.Repeat([]models.FeatureShift{feature}, 5),
			Report: j.state.Reference.Object, Data: j.state.Reference.Object}
		j.state.Alarms = append(j.state.Alarms, a)
		j.state.Actions = append(j.state.Actions, slices.Repeat([]models.MonitorEvent{{At: origin, Block: a.Block, Alarm: a.RequestID, Text: long}}, 4)...)
		j.state.Seen = append(j.state.Seen, a.RequestID+"/started", a.RequestID+"/not_helping")
	}
	j.state.Inputs = &models.InputReport{Features: slices.Repeat([]models.FeatureShift{feature}, 20), Slices: slices.Repeat([]models.SliceShift{slice}, 20)}
	return j
}

func TestAYearFitsIntoAPayload(t *testing.T) {
	j := aYear(t)
	data, err := json.Marshal(carried(j.state))
	require.NoError(t, err)
	t.Logf("%d bytes, %d alarms", len(data), len(j.state.Alarms))
	require.LessOrEqual(t, len(data), 32<<10)
	require.NotNil(t, j.state.Alarms[0].Explanation.Slices, "the state itself keeps them")
}

// TestFullListsFitIntoAPackedPayload: what is larger than that is packed before
// it enters a history.
func TestFullListsFitIntoAPackedPayload(t *testing.T) {
	j := aYear(t)
	for i := 0; len(j.state.Alarms) < alarmsKept; i++ {
		j.state.Alarms = append(j.state.Alarms, j.state.Alarms[i])
	}
	for i := 0; len(j.state.Actions) < eventsKept; i++ {
		j.state.Actions = append(j.state.Actions, j.state.Actions[i])
	}
	for i := 0; len(j.state.Seen) < requestsRemembered; i++ {
		j.state.Seen = append(j.state.Seen, blockKey(origin.Add(time.Duration(i)*time.Second)))
	}
	data, err := json.Marshal(carried(j.state))
	require.NoError(t, err)
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, err = writer.Write(data)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	t.Logf("%d bytes, packed %d", len(data), packed.Len())
	require.Less(t, len(data), 64<<10)
	require.Less(t, packed.Len(), 32<<10)
}

func TestRunsOfBlocksForgetTheOldest(t *testing.T) {
	var runs []models.BlockRun
	for d := range 500 {
		if d == 250 {
			continue // had no evidence
		}
		start := origin.AddDate(0, 0, d)
		runs = addRun(runs, models.Block{Start: start, End: start.AddDate(0, 0, 1)})
	}
	blocks := blocksOf(runs)
	require.Len(t, runs, 2)
	require.Len(t, blocks, evidenceBlocks)
	require.Equal(t, origin.AddDate(0, 0, 99), blocks[0].Start)
	require.Equal(t, origin.AddDate(0, 0, 500), blocks[len(blocks)-1].End)
}
