package drift

import (
	"encoding/csv"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

const flightsReference = 59 // January and February

// flights are the daily losses of testdata/flights_daily.csv: of all rows, or of
// 200 a day drawn with one of the seeds 1 … 5.
func flights(t *testing.T, column string) []models.BlockLoss {
	t.Helper()
	file, err := os.Open("testdata/flights_daily.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.Index(rows[0], column)
	var blocks []models.BlockLoss
	for _, row := range rows[1:] {
		day, err := time.Parse(time.DateOnly, row[0])
		if err != nil {
			t.Fatal(err)
		}
		loss, err := strconv.ParseFloat(row[at], 64)
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, models.BlockLoss{Start: day, Labelled: 200, Loss: loss})
	}
	if len(blocks) != 365 {
		t.Fatalf("%d days", len(blocks))
	}
	return blocks
}

// firstAlarm is the block of a year with the first alarm; -1: none.
func firstAlarm(s models.MonitorSpec, blocks []models.BlockLoss, seed uint64) int {
	state := New(s, blocks[:flightsReference], models.Estimate{}, seed)
	_, looks := fold(state, blocks[flightsReference:])
	if at := alarmIn(looks); at >= 0 {
		return at + flightsReference
	}
	return -1
}

// TestFlightsInRealOrder: the loss of a model of January and February rises in
// June. The alarm comes before retraining pays most.
func TestFlightsInRealOrder(t *testing.T) {
	blocks := flights(t, "all")
	for _, test := range []struct {
		budget      float64
		detector    models.DetectorSpec
		from, until string
	}{
		{0.1, daily, "2013-06-01", "2013-07-09"},
		{0.05, daily, "2013-06-01", "2013-08-03"},
		{0.01, daily, "2013-06-01", "2013-08-20"},
		{0.1, conformal, "2013-06-01", "2013-08-02"},
	} {
		for seed := range uint64(5) {
			at := firstAlarm(spec(test.budget, test.detector, level), blocks, seed)
			if at < 0 {
				t.Errorf("budget %v, season %s: no alarm", test.budget, test.detector.Season)
				continue
			}
			day := blocks[at].Start.Format(time.DateOnly)
			change := ChangePoint(blocks[:flightsReference], blocks[flightsReference:at+1]).Format(time.DateOnly)
			if seed == 0 {
				t.Logf("budget %v, season %s: alarm on %s, the change estimated on %s", test.budget, test.detector.Season, day, change)
			}
			if day < test.from || day > test.until || change < "2013-05-20" || change > day {
				t.Errorf("budget %v, season %s, seed %d: alarm on %s, change on %s", test.budget, test.detector.Season, seed, day, change)
			}
		}
	}
}

// TestFlightsSampled: with 200 answers a day, as in the demo. Days of one month
// resemble each other, which a real year does and an exchangeable one does not:
// a stormy week in April comes near the threshold, and above it in one of the
// samples.
func TestFlightsSampled(t *testing.T) {
	early := 0
	for _, column := range []string{"s1", "s2", "s3", "s4", "s5"} {
		blocks := flights(t, column)
		at := firstAlarm(spec(0.1, daily, level), blocks, 1)
		if at < 0 {
			t.Fatalf("%s: no alarm", column)
		}
		day := blocks[at].Start.Format(time.DateOnly)
		t.Logf("%s: alarm on %s", column, day)
		if day < "2013-06-01" {
			early++
		}
		if day > "2013-08-03" {
			t.Errorf("%s: alarm on %s", column, day)
		}
	}
	if early > 1 {
		t.Errorf("%d alarms before the loss rose", early)
	}
}

// TestFlightsPermuted: the same days in random order are a year without drift.
func TestFlightsPermuted(t *testing.T) {
	for _, test := range []struct {
		budget       float64
		permutations uint64
		most         int
	}{{0.1, 40, 4}, {0.01, 100, 1}} { // with 2,000 permutations 4.8 % and 0.8 %
		alarms := 0
		for n := range test.permutations {
			blocks := flights(t, "all")
			rand.New(rand.NewPCG(n, 5)).Shuffle(len(blocks), func(i, k int) {
				blocks[i].Loss, blocks[k].Loss = blocks[k].Loss, blocks[i].Loss
			})
			if firstAlarm(spec(test.budget, daily, level), blocks, n) >= 0 {
				alarms++
			}
		}
		t.Logf("budget %v: alarms in %d of %d permuted years", test.budget, alarms, test.permutations)
		if alarms > test.most {
			t.Errorf("budget %v: %d alarms, at most %d", test.budget, alarms, test.most)
		}
	}
}
