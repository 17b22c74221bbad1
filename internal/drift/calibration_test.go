package drift

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// TestFalseAlarms: in a year without drift P(any alarm) is within the budget,
// for clustered data: the rows of a block have much in common.
func TestFalseAlarms(t *testing.T) {
	weekly := models.DetectorSpec{Kind: models.DetectorConformal, Share: 1, Season: models.SeasonDayOfWeek}
	for _, test := range []struct {
		name      string
		runs      int
		reference int
		budget    float64
		detectors []models.DetectorSpec
		loss      func(r *rand.Rand, day int) float64
	}{
		{"default", 200, 59, 0.1, []models.DetectorSpec{daily, level}, clustered},
		{"great budget", 200, 59, 1, []models.DetectorSpec{daily, level}, clustered},
		{"no seasons", 100, 59, 1, []models.DetectorSpec{conformal}, clustered},
		{"no reference, empty strata", 100, 0, 1, []models.DetectorSpec{weekly}, func(r *rand.Rand, day int) float64 {
			return clustered(r, day) + float64(day%7)
		}},
		{"heavy tails", 100, 14, 1, []models.DetectorSpec{conformal, level}, func(r *rand.Rand, _ int) float64 { return math.Exp(1.5 * r.NormFloat64()) }},
		{"few values", 100, 14, 1, []models.DetectorSpec{conformal}, func(r *rand.Rand, _ int) float64 { return float64(r.IntN(3)) }},
	} {
		alarms := 0
		for run := range uint64(test.runs) {
			r := rand.New(rand.NewPCG(run, 31))
			blocks := simulated(r, test.reference+365, test.loss)
			state := New(spec(test.budget, test.detectors...), blocks[:test.reference], models.Estimate{}, run)
			if _, looks := fold(state, blocks[test.reference:]); alarmIn(looks) >= 0 {
				alarms++
			}
		}
		share, alpha := float64(alarms)/float64(test.runs), Alpha(test.budget)
		t.Logf("%s: alarms in %.3f of the years, α = %.3f", test.name, share, alpha)
		if share > alpha+2*math.Sqrt(alpha*(1-alpha)/float64(test.runs)) {
			t.Errorf("%s: alarms in %.3f of the years, α = %.3f", test.name, share, alpha)
		}
	}
}

// TestRestarts: started afresh after each alarm, detectors of a budget of two
// cry falsely no oftener than twice a year, the later years included.
func TestRestarts(t *testing.T) {
	const runs, years, budget = 30, 3, 2.0
	alarms := 0
	for run := range uint64(runs) {
		r := rand.New(rand.NewPCG(run, 32))
		blocks := simulated(r, 59+years*365, clustered)
		s := spec(budget, daily, level)
		state := New(s, blocks[:59], models.Estimate{}, run)
		for i := 59; i < len(blocks); i++ {
			var looks []models.DetectorLook
			if state, looks = Update(state, blocks[i]); looks[0].Alarm || looks[1].Alarm {
				alarms++
				state = New(s, blocks[max(0, i-29):i+1], models.Estimate{}, run+uint64(i))
			}
		}
	}
	rate := float64(alarms) / runs / years
	t.Logf("%.2f false alarms a year, budget %v", rate, budget)
	if rate > budget {
		t.Errorf("%.2f false alarms a year, budget %v", rate, budget)
	}
}

// TestHandedOut: how much capital there is at which time. Nobody gets more than
// a year's worth in a year, whatever blocks are.
func TestHandedOut(t *testing.T) {
	hours, rows, unknown := spec(0.1, conformal), spec(0.1, conformal), spec(0.1, conformal)
	hours.Block = models.Duration(time.Hour)
	rows.Block, rows.BlockRows = 0, 1000
	unknown.Block, unknown.BlockRows = 0, 1000
	for _, test := range []struct {
		name   string
		spec   models.MonitorSpec
		blocks int
		start  func(i int) time.Time
		want   float64
	}{
		{"first day", spec(0.1, conformal), 1, func(int) time.Time { return monday }, 0.125 + 0.875/365},
		{"half a year", spec(0.1, conformal), 182, func(i int) time.Time { return monday.AddDate(0, 0, i) }, 0.125 + 0.875*182/365},
		{"half a year, no starts", spec(0.1, conformal), 182, func(int) time.Time { return time.Time{} }, 0.125 + 0.875*182/365},
		{"three days of hours", hours, 72, func(i int) time.Time { return monday.Add(time.Duration(i) * time.Hour) }, 0.125 + 0.875*3/365},
		{"three days of hours, no starts", hours, 72, func(int) time.Time { return time.Time{} }, 0.125 + 0.875*3/365},
		{"a year", spec(0.1, conformal), 365, func(i int) time.Time { return monday.AddDate(0, 0, i) }, 1},
		{"two years", spec(0.1, conformal), 730, func(i int) time.Time { return monday.AddDate(0, 0, i) }, 2},
		{"rows, seven blocks a day", rows, 700, func(i int) time.Time { return monday.Add(time.Duration(i) * 24 * time.Hour / 7) }, 0.125 + 0.875*100/365},
		{"after a gap of a hundred days", spec(0.1, conformal), 2, func(i int) time.Time { return monday.AddDate(0, 0, 100*i) }, 0.125 + 0.875*101/365},
		{"rows, no starts", unknown, 3000, func(int) time.Time { return time.Time{} }, 100.0 / 101},
	} {
		state := New(test.spec, blocksOf(1, 2, 3), models.Estimate{}, 1)
		r := rand.New(rand.NewPCG(1, 1))
		for i := range test.blocks {
			state, _ = Update(state, models.BlockLoss{Start: test.start(i), Loss: r.NormFloat64()})
		}
		d := state.Detectors[0]
		if !near(d.Injected, test.want, 1e-9) || len(d.Stakes) > stakes {
			t.Errorf("%s: handed out %v in %d stakes, want %v", test.name, d.Injected, len(d.Stakes), test.want)
		}
	}
}

// TestDelays: how long a rise of the daily loss lasts before the alarm.
func TestDelays(t *testing.T) {
	const runs, never = 40, 180
	for _, test := range []struct {
		detector models.DetectorSpec
		quiet    int     // blocks without drift before the rise
		weekly   float64 // amplitude of a weekly pattern, in deviations
		sigmas   float64
		median   int // at most
	}{
		{conformal, 0, 0, 0.5, 65}, {conformal, 0, 0, 1, 14}, {conformal, 90, 0, 0.5, 50}, {conformal, 90, 0, 1, 18},
		{daily, 0, 0, 0.5, 70}, {daily, 0, 0, 1, 15}, {daily, 90, 0, 0.5, 50}, {daily, 90, 0, 1, 18},
		{conformal, 90, 1, 1, 45}, {daily, 90, 1, 1, 18}, {daily, 270, 0, 1, 18},
	} {
		var delays []int
		for run := range uint64(runs) {
			r := rand.New(rand.NewPCG(run, 33))
			blocks := simulated(r, 59+test.quiet+never, func(r *rand.Rand, day int) float64 {
				return clustered(r, day) + test.weekly*math.Sqrt2*math.Sin(2*math.Pi*float64(day)/7)
			})
			for i := 59 + test.quiet; i < len(blocks); i++ {
				blocks[i].Loss += test.sigmas
			}
			state := New(spec(0.1, test.detector, level), blocks[:59], models.Estimate{}, run)
			_, looks := fold(state, blocks[59:])
			switch at := alarmIn(looks); {
			case at < 0:
				delays = append(delays, never)
			case at >= test.quiet: // else a false alarm
				delays = append(delays, at-test.quiet+1)
			}
		}
		slices.Sort(delays)
		median := delays[len(delays)/2]
		t.Logf("season %-11s after %3d quiet blocks, weekly pattern %.0fσ, rise of %.1fσ: median %d, 90 %% point %d",
			test.detector.Season+",", test.quiet, test.weekly, test.sigmas, median, delays[len(delays)*9/10])
		if median > test.median {
			t.Errorf("median %d, want at most %d", median, test.median)
		}
	}
}

// clustered is the mean loss of a block of 50 to 500 rows, in which what the
// rows share weighs more than what they don't; of deviation about 1, and skewed.
func clustered(r *rand.Rand, _ int) float64 {
	rows := 50 + r.IntN(450)
	shared := math.Exp(0.5*r.NormFloat64()) / 0.604
	return 10 + shared + 2*r.NormFloat64()/math.Sqrt(float64(rows))
}

func simulated(r *rand.Rand, n int, loss func(*rand.Rand, int) float64) []models.BlockLoss {
	losses := make([]float64, n)
	for day := range losses {
		losses[day] = loss(r, day)
	}
	return blocksOf(losses...)
}
