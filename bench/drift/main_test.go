package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/drift"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/figures"
)

const flightsFile = "../../internal/drift/testdata/flights_daily.csv"

// TestReport: the command's JSON, from two years, with every promise kept and
// the same figures for the same seed.
func TestReport(t *testing.T) {
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run([]string{"-json", "-runs", "2", "-seed", "7", "-flights", flightsFile}, out, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("the same seed gave other figures")
	}
	var report Report
	if err := json.Unmarshal(first.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	promises := 0
	for _, p := range slices.Concat(report.Quiet, report.Changing, report.Inputs) {
		for _, o := range p.Outcomes {
			if o.Promise != "" {
				promises++
			}
			if (o.Promise != "") != (o.Budget > 0) || (o.Delays != nil) != (p.World.Shift+p.World.InputShift > 0) {
				t.Errorf("%s: %+v", p.Case, o)
			}
		}
	}
	if report.Broken != 0 || promises != 56 {
		t.Errorf("%d promises, %d broken", promises, report.Broken)
	}
	var text strings.Builder
	writeReport(&text, report)
	for _, line := range []string{"| few very bad days | Mainspring, 0.01 a year | ≤ 1 % |", "| ADWIN, losses of rows |", "| NannyML, weekly | 2013-"} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no %q in\n%s", line, text.String())
		}
	}
}

// TestCalibration holds the promise in worlds without drift, on blocks that are
// drawn without their rows, so that many years cost little.
func TestCalibration(t *testing.T) {
	const years = 200
	for _, test := range []struct {
		name  string
		set   setting
		world world
	}{
		{"days like the flights'", setting{}, world{Day: perDay}},
		{"days like the flights', no season", setting{season: models.SeasonNone}, world{Day: perDay}},
		{"few very bad days", setting{}, world{Day: perDay, Skewed: true}},
		{"day of the week", setting{}, world{Day: perDay, Season: 3}},
	} {
		for _, budget := range budgets() {
			t.Run(fmt.Sprintf("%s, %v a year", test.name, budget), func(t *testing.T) {
				t.Parallel()
				spec := monitorSpec(budget, test.set)
				alarmed := 0
				for year := range years {
					if len(watch(spec, test.world.means(rand.New(rand.NewPCG(5, uint64(year)))), referenceDays)) > 0 {
						alarmed++
					}
				}
				low, high := figures.Interval(alarmed, years)
				t.Logf("%d of %d years with an alarm, %.4f to %.4f", alarmed, years, low, high)
				if low > budget {
					t.Errorf("at least %.4f of the years have an alarm, and %v is promised", low, budget)
				}
			})
		}
	}
}

// means are the blocks of a year whose rows are summed up by a normal number.
func (w world) means(r *rand.Rand) []models.BlockLoss {
	blocks := make([]models.BlockLoss, referenceDays+watchedDays)
	for day := range blocks {
		blocks[day] = models.BlockLoss{
			Start: time.Date(2025, 1, 6+day, 0, 0, 0, 0, time.UTC), Labelled: rowsPerDay,
			Loss: meanLoss + w.Day*w.shaped(r.NormFloat64()) + w.Season*weekday()[day%7] + perRow/math.Sqrt(rowsPerDay)*r.NormFloat64(),
		}
	}
	return blocks
}

// TestBrokenPromise: a rule that always alarms is found out.
func TestBrokenPromise(t *testing.T) {
	always := contender{name: "always", sees: seesRows, budget: 0.1, alarms: func(*stream) []int { return []int{3, 130} }}
	o := always.judge([][]int{{3, 130}, {3, 130}, {3, 130}, {3, 130}}, false)
	if o.Promise != PromiseBroken || o.Alarmed != 4 || o.PerYear != 2 || broken(Report{Quiet: []Played{{Outcomes: []Outcome{o}}}}) != 1 {
		t.Errorf("%+v", o)
	}
}

// TestDelays: alarms before the change are counted apart from the first after.
func TestDelays(t *testing.T) {
	years := [][]int{{3, 130}, {120}, {}, {119}, {140}}
	o := contender{}.judge(years, true)
	if o.Alarmed != 2 || math.Abs(o.PerYear-2.0/5*365/120) > 1e-12 || *o.Delays != (Delays{Found: 0.6, Median: 21}) {
		t.Errorf("%+v %+v", o, o.Delays)
	}
}

// TestWorldIsWhatItSays: size and spread of days and rows, the memory of days,
// and a shift where it belongs.
func TestWorldIsWhatItSays(t *testing.T) {
	var all, next, before, after []float64
	w := world{Day: perDay, Memory: 0.7, Shift: 2}
	rows := 0.0
	for year := range uint64(60) {
		s := w.simulate(rand.New(rand.NewPCG(1, year)))
		blocks := s.blocks(1)
		for day := range referenceDays + change - 1 {
			all, next = append(all, blocks[day].Loss), append(next, blocks[day+1].Loss)
		}
		samples := s.losses.sampled()
		rows += samples.reference.Deviation / 60
		before = append(before, blocks[referenceDays+change-1].Loss)
		after = append(after, blocks[referenceDays+change].Loss)
		if len(samples.weeks) != 52 || len(samples.chunks) != 8 || blocks[0].Start.Weekday() != time.Monday {
			t.Fatalf("%d weeks, %d chunks, from a %s", len(samples.weeks), len(samples.chunks), blocks[0].Start.Weekday())
		}
	}
	for name, check := range map[string][2]float64{
		"mean": {average(all), meanLoss}, "deviation": {math.Sqrt(covariance(all, all)), w.sigma()},
		"memory": {covariance(all, next) / covariance(all, all), 0.7 * perDay * perDay / w.sigma() / w.sigma()},
		"rows":   {rows, math.Hypot(perRow, perDay)}, "shift": {average(after) - average(before), 2 * w.sigma()},
	} {
		if math.Abs(check[0]-check[1]) > 0.1*check[1] {
			t.Errorf("%s is %v, want %v", name, check[0], check[1])
		}
	}
}

func average(values []float64) (mean float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	return mean
}

func covariance(a, b []float64) (sum float64) {
	for i := range a {
		sum += (a[i] - average(a)) * (b[i] - average(b)) / float64(len(a))
	}
	return sum
}

// TestWatchStartsAnew: after an alarm the newest blocks are the reference, so a
// lasting rise is no news after a while.
func TestWatchStartsAnew(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	blocks := world{Day: perDay}.means(r)
	for i := 200; i < len(blocks); i++ {
		blocks[i].Loss++
	}
	alarms := watch(monitorSpec(0.1, setting{season: models.SeasonNone}), blocks, referenceDays)
	rise := 200 - referenceDays
	if len(alarms) == 0 || alarms[0] < rise || alarms[len(alarms)-1] > rise+60 {
		t.Errorf("alarms on days %v", alarms)
	}
	if drift.Alpha(0.1) >= 0.1 {
		t.Error("restarts cost something")
	}
}

// TestPermuted: the dates stay, the losses are the same ones.
func TestPermuted(t *testing.T) {
	days, err := readFlights(flightsFile)
	if err != nil {
		t.Fatal(err)
	}
	other := permuted(days, rand.New(rand.NewPCG(1, 1)))
	moved, sum := 0, 0.0
	for i := range days {
		sum += other[i].Loss - days[i].Loss
		if other[i].Loss != days[i].Loss {
			moved++
		}
		if !other[i].Start.Equal(days[i].Start) {
			t.Fatalf("day %d is %s", i, other[i].Start)
		}
	}
	if len(days) != 365 || moved < 300 || math.Abs(sum) > 1e-9 {
		t.Errorf("%d days, %d moved, losses changed by %v", len(days), moved, sum)
	}
}
