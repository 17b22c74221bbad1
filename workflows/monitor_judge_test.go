package workflows

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/drift"
	"github.com/mainspring-ml/mainspring/models"
)

var origin = time.Date(2013, 3, 1, 0, 0, 0, 0, time.UTC)

// story is a year of an endpoint: what each day's labels say at first and in the
// end, and when a retraining turns out not to help.
type story struct {
	watch  models.WatchRequest
	days   int
	first  []models.Block
	last   []models.Block
	alarms []models.Alarm // that were raised
	looked []look
}

// tell makes a story in which every fifth day's labels are corrected, some days
// have too few labels at first, and the loss rises twice.
func tell(seed uint64, maturity, corrections models.Duration) *story {
	random := rand.New(rand.NewPCG(seed, 7))
	spec := models.MonitorSpec{Maturity: maturity, Corrections: &corrections}.WithDefaults()
	s := &story{days: 200, watch: models.WatchRequest{Version: "1", Spec: spec, Promised: models.Estimate{Value: .5, High: .55}}}
	for range 60 {
		s.watch.Reference = append(s.watch.Reference, .5+.03*random.NormFloat64())
	}
	start := origin
	for d := range s.days {
		level := .5
		if d > 70 {
			level = .58
		}
		if d > 140 {
			level = .7
		}
		length := 24 * time.Hour
		if seed%2 > 0 { // blocks of so many rows
			length = time.Duration(20*60+random.IntN(8*60)) * time.Minute
		}
		block := models.Block{Start: start, End: start.Add(length), Requests: 100, Labelled: 100, Loss: level + .03*random.NormFloat64()}
		last := block
		start = block.End
		if random.IntN(5) == 0 {
			last.Loss += .1 * random.NormFloat64()
		}
		if random.IntN(8) == 0 {
			block.Labelled = 3
		}
		s.first, s.last = append(s.first, block), append(s.last, last)
	}
	return s
}

// score answers as the activity does for a log that is complete to a moment.
func (s *story) score(r models.ScoreBlocksRequest, watermark time.Time) (scored models.ScoredBlocks) {
	day := func(t time.Time) int {
		return slices.IndexFunc(s.first, func(b models.Block) bool { return b.Start.Equal(t) })
	}
	finish := func(end, start time.Time) {
		if !lastDue(r.Spec, end).After(watermark) {
			scored.Final = append(scored.Final, s.last[day(start)])
		}
	}
	for _, open := range r.Open {
		finish(open.End, open.Start)
	}
	first := 0
	if !r.From.IsZero() {
		first = slices.IndexFunc(s.first, func(b models.Block) bool { return !b.Start.Before(r.From) })
	}
	if first < 0 {
		return scored // all have been scored once
	}
	for d := first; d < s.days && !firstDue(r.Spec, s.first[d].End).After(watermark); d++ {
		if scored.More = len(scored.Blocks) == r.Max; scored.More {
			break
		}
		scored.Blocks = append(scored.Blocks, s.first[d])
		finish(s.first[d].End, s.first[d].Start)
	}
	return scored
}

// read lets a judge catch up with the log in pieces. An alarm's retraining turns
// out not to help when the look after the next twenty has been taken.
func (s *story) read(t *testing.T, j *judge, watermark time.Time, most func() int) {
	for whole := false; !whole; {
		open := j.open()
		sent := open[:min(len(open), most())]
		scored := s.score(models.ScoreBlocksRequest{Spec: s.watch.Spec, From: j.state.Next, Max: most(), Open: sent}, watermark)
		var looks []look
		looks, whole = inOrder(s.watch.Spec, scored, sent, len(open))
		require.True(t, whole || len(looks) > 0, "it goes on")
		for _, l := range looks {
			s.looked = append(s.looked, l)
			if alarm := j.take(l); alarm != nil {
				s.alarms = append(s.alarms, *alarm)
				j.state.Pending = alarm.RequestID
			}
			if j.resting() && l.due.Sub(s.alarms[len(s.alarms)-1].AsOf) > 20*24*time.Hour {
				j.state.Pending = ""
				j.rebase(time.Time{}, "it does not help")
			}
		}
	}
}

func (s *story) judge() *judge {
	j := newJudge(models.MonitorState{Endpoint: "e", Watch: &s.watch, Reference: &models.MonitorReference{Loss: .5}})
	losses := make([]models.BlockLoss, len(s.watch.Reference))
	for i, loss := range s.watch.Reference {
		losses[i].Loss = loss
	}
	j.restart(drift.New, losses)
	j.state.Reference.Blocks = brief(losses)
	return &j
}

// again begins a new run on what the last one carried, as JSON.
func again(t *testing.T, j *judge) *judge {
	t.Helper()
	data, err := json.Marshal(carried(j.state))
	require.NoError(t, err)
	var state models.MonitorState
	require.NoError(t, json.Unmarshal(data, &state))
	next := newJudge(state)
	return &next
}

// TestPiecesOutagesAndNewRunsChangeNothing: looks, alarms and detectors are
// those of a monitor that looked every hour and was never interrupted.
func TestPiecesOutagesAndNewRunsChangeNothing(t *testing.T) {
	alarms := 0
	for seed := range uint64(25) {
		maturity := models.Day * models.Duration(1+seed%3)
		corrections := models.Duration(time.Hour) * models.Duration([]int{24, 0, 30, 240, 70 * 24}[seed%5])
		end := origin.AddDate(0, 0, 280)

		calm := tell(seed, maturity, corrections)
		undisturbed := calm.judge()
		for mark := origin; !mark.After(end); mark = mark.Add(6 * time.Hour) {
			calm.read(t, undisturbed, mark, func() int { return 100 })
		}

		random := rand.New(rand.NewPCG(seed, 99))
		wild := tell(seed, maturity, corrections)
		disturbed := wild.judge()
		for mark := origin; mark.Before(end); {
			mark = mark.Add(time.Duration(random.IntN(20*24)) * time.Hour)
			wild.read(t, disturbed, mark, func() int { return 1 + random.IntN(9) })
			if random.IntN(2) == 0 {
				disturbed = again(t, disturbed)
			}
		}
		require.Equal(t, calm.looked, wild.looked, "seed %d", seed)
		require.Equal(t, calm.alarms, wild.alarms, "seed %d", seed)
		left, right := again(t, undisturbed), again(t, disturbed)
		require.Equal(t, left.present, right.present, "seed %d", seed)
		require.Equal(t, left.state, right.state, "seed %d", seed)
		alarms += len(calm.alarms)
	}
	require.Greater(t, alarms, 25, "there was something to get wrong")
}

// correcting judges steady days, of which the last ones turn out to be bad only
// when their labels are corrected.
func correcting(t *testing.T, first, last func(day int) models.Block) (*judge, []models.Alarm) {
	t.Helper()
	s := tell(2, models.Day, 3*models.Day)
	s.days = 40
	for d := range s.days {
		start := origin.AddDate(0, 0, d)
		s.first[d], s.last[d] = first(d), last(d)
		for _, b := range []*models.Block{&s.first[d], &s.last[d]} {
			b.Start, b.End = start, start.AddDate(0, 0, 1)
		}
	}
	j := s.judge()
	s.read(t, j, origin.AddDate(0, 0, 60), func() int { return 5 })
	return j, s.alarms
}

func steadyDay(d int) models.Block {
	return models.Block{Requests: 100, Labelled: 100, Loss: .47 + .002*float64(d*7%30)}
}

func badDay(d int) models.Block {
	return models.Block{Requests: 100, Labelled: 100, Loss: .8 + .002*float64(d*7%30)}
}

// TestACorrectionMayRaiseAnAlarm, as of the moment at which it is known.
func TestACorrectionMayRaiseAnAlarm(t *testing.T) {
	j, alarms := correcting(t, steadyDay, func(d int) models.Block {
		if d >= 20 {
			return badDay(d)
		}
		return steadyDay(d)
	})
	require.Len(t, alarms, 1)
	a := alarms[0]
	require.False(t, a.Block.Before(origin.AddDate(0, 0, 20)))
	require.Equal(t, a.Block.AddDate(0, 0, 1+1+3), a.AsOf, "end, maturity and corrections")
	for _, b := range j.state.Blocks[20:] {
		require.True(t, b.Final)
		require.InDelta(t, .5, *b.Before, .05)
		require.InDelta(t, .83, b.Loss, .05)
	}
	require.Nil(t, j.state.Blocks[19].Before)
}

// TestACorrectionTakesEvidenceBack: days that looked bad and were not leave the
// detectors as if they had never looked bad.
func TestACorrectionTakesEvidenceBack(t *testing.T) {
	once := func(d int) models.Block {
		if d == 10 {
			return badDay(d)
		}
		return steadyDay(d)
	}
	corrected, alarms := correcting(t, once, steadyDay)
	require.Empty(t, alarms)
	never, _ := correcting(t, steadyDay, steadyDay)
	require.Equal(t, never.present, corrected.present)
	require.NotNil(t, corrected.state.Blocks[10].Before)
	require.Equal(t, never.state.Blocks[10].Looks, corrected.state.Blocks[10].Looks)
}

// TestLateLabelsMayDecideABlock that had too few at first.
func TestLateLabelsMayDecideABlock(t *testing.T) {
	late := func(d int) models.Block {
		b := steadyDay(d)
		if d%2 > 0 {
			b.Labelled, b.Loss = 3, 0
		}
		return b
	}
	j, _ := correcting(t, late, steadyDay)
	in, _ := correcting(t, steadyDay, steadyDay)
	require.EqualValues(t, 40, j.present.Observed)
	require.Equal(t, in.present, j.present)
	few, _ := correcting(t, late, late)
	require.EqualValues(t, 20, few.present.Observed, "inconclusive blocks feed no detector")
}

// With blocks of a minute a day of them is open. Each that is corrected lets the
// detectors judge all since anew, and a workflow may not compute for a second.
func TestManyOpenBlocksAreCorrectedFewAtATime(t *testing.T) {
	day := models.Day
	for open, most := range map[int]int{0: 0, 1: 1, 40: 40, 160: openAtOnce, 1440: 6, 2 * judgedAtOnce: 1} {
		m := &monitor{judge: judge{state: models.MonitorState{
			Watch:     &models.WatchRequest{Spec: models.MonitorSpec{Block: models.Duration(time.Minute), Corrections: &day}.WithDefaults()},
			Reference: &models.MonitorReference{},
		}}}
		for i := range open {
			start := origin.Add(time.Duration(i) * time.Minute)
			m.state.Blocks = append(m.state.Blocks, models.Block{Start: start, End: start.Add(time.Minute)})
		}
		request := m.scoreRequest()
		require.Len(t, request.Open, most, "of %d", open)
		require.NotNil(t, request.Open)
	}
}

// Blocks of few rows may be so many that not all of them can wait.
func TestTheOldestOfTooManyOpenBlocksAreFinal(t *testing.T) {
	corrections := models.Day
	spec := models.MonitorSpec{BlockRows: 100, Corrections: &corrections}.WithDefaults()
	s := tell(2, models.Day, corrections)
	j := judge{state: models.MonitorState{Endpoint: "flights", Watch: &s.watch, Reference: &models.MonitorReference{}}}
	s.watch.Spec = spec
	reference := []models.BlockLoss{}
	for _, loss := range s.watch.Reference {
		reference = append(reference, models.BlockLoss{Loss: loss})
	}
	j.restart(drift.New, reference)
	const more = 3
	for i := range models.MostOpenBlocks + more {
		start := origin.Add(time.Duration(i) * time.Second)
		block := models.Block{Start: start, End: start.Add(time.Second), Requests: 100, Labelled: 100, Loss: .5 + .001*float64(i%7)}
		require.Nil(t, j.take(look{due: firstDue(spec, block.End), block: block}), "block %d", i)
	}
	if open, kept := len(j.open()), len(j.state.Blocks); open != models.MostOpenBlocks || kept != open {
		t.Fatalf("%d blocks are open and %d kept; want %d", open, kept, models.MostOpenBlocks)
	}
	late := j.state.Blocks[0]
	late.Start, late.End, late.Loss = origin, origin.Add(time.Second), 9
	require.Nil(t, j.take(look{due: lastDue(spec, late.End), last: true, block: late}))
	require.Equal(t, newJudge(j.state).present, j.present, "the detectors of now follow from the state")
}
