package activities_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// flightRows reads the example's real flights of a year, 1 in 4.
func flightRows(t *testing.T, spec models.DataSpec) dataset.Table {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "examples", "flights", "data", "2013-*.parquet"))
	if err != nil || len(files) != 12 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	names := append([]string{spec.Key, spec.Time, spec.Label}, spec.Features...)
	var all dataset.Table
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		file, err := parquetio.Open(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		table, err := file.ReadAll(t.Context(), names)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		var picked []int
		for row := 0; row < table.Rows(); row += 4 {
			if !table.Column(spec.Label).Absent(row) {
				picked = append(picked, row)
			}
		}
		all.Append(table.Pick(names, picked))
	}
	return all
}

// flightYear is a year of flights with what a model that knows the hour only
// makes of them.
type flightYear struct {
	spec  models.DataSpec
	rows  shift.Rows
	days  []int // of each row
	plan  shift.Plan
	names []string
}

func readFlights(t *testing.T) flightYear {
	t.Helper()
	y := flightYear{spec: flightsSpec("")}
	table := flightRows(t, y.spec)
	y.plan = shift.Plan{
		Data: y.spec, Width: 1, Features: y.spec.Features,
		Monitor: models.MonitorSpec{Slices: []models.SliceSpec{{Column: "origin"}, {Column: "distance", Quantiles: 4}}}.WithDefaults(),
	}
	y.names = append([]string{y.spec.Time, y.spec.Label}, y.spec.Features...)
	y.rows.Table = table.Pick(y.names, rowNumbers(table.Rows()))
	start := time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	for row, at := range table.Column(y.spec.Time).Ints {
		label, _ := table.Column(y.spec.Label).Number(row)
		p := 0.08 + 0.012*float64(table.Column("dep_minute").Ints[row]/60)
		y.rows.Labels, y.rows.Predictions = append(y.rows.Labels, label), append(y.rows.Predictions, p)
		y.rows.Losses = append(y.rows.Losses, metric.Loss(models.TaskBinary, []float64{p}, label))
		y.days = append(y.days, int((at-start)/(24*time.Hour).Microseconds()))
	}
	return y
}

func rowNumbers(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// compare holds the 61st to 180th day of an order of days against the first 60,
// and says what moved.
func (y flightYear) compare(t *testing.T, order []int) []string {
	t.Helper()
	const before, all = 60, 180
	place := make([]int, len(order))
	for at, day := range order {
		place[day] = at
	}
	var picked []int
	live := make([][]int, all)
	for row, day := range y.days {
		switch at := place[day]; {
		case at < before:
			picked = append(picked, row)
		case at < all:
			live[at] = append(live[at], row)
		}
	}
	rows := shift.Rows{Table: y.rows.Table.Pick(y.names, picked)}
	for _, row := range picked {
		rows.Labels, rows.Losses = append(rows.Labels, y.rows.Labels[row]), append(rows.Losses, y.rows.Losses[row])
		rows.Predictions = append(rows.Predictions, y.rows.Predictions[row])
	}
	reference, err := shift.Build(rows, y.plan)
	if err != nil {
		t.Fatal(err)
	}
	coder := reference.Coder(y.spec.Time, y.spec.Label)
	c := shift.Comparison{Reference: reference, Recent: 30, Level: 0.1, MinLabels: 30, Name: "flights"}
	for at, day := range live[before:] {
		b, codes := coder.NewBlock(), make([]uint8, len(day)*coder.Width())
		b.Start = worldStart.AddDate(0, 0, at)
		coder.CodeTable(codes, y.rows.Table.Pick(y.names, day))
		for i, row := range day {
			b.Add(codes[i*coder.Width():][:coder.Width()], shift.Outcome{Labelled: true, Loss: y.rows.Losses[row]})
		}
		c.Live = append(c.Live, b)
	}
	result := shift.Compare(c)
	var told shift.Told
	told.Name(result.Features, result.Slices)
	return append(told.Moved, told.Worse...)
}

// TestFlightsInAnyOrder: with the days of real flights permuted nothing changes,
// and what is named must be wrong in at most a tenth of the cases; in their real
// order the schedule and the losses do change.
func TestFlightsInAnyOrder(t *testing.T) {
	year := readFlights(t)
	wrong := 0
	const runs = 20
	for run := range runs {
		if found := year.compare(t, rand.New(rand.NewPCG(uint64(run), 1)).Perm(365)); len(found) > 0 {
			t.Logf("permutation %d: %v", run, found)
			wrong++
		}
	}
	found := year.compare(t, rowNumbers(365))
	t.Logf("wrong in %d of %d permutations; in the real order: %v", wrong, runs, found)
	if wrong > 4 || len(found) < 2 {
		t.Errorf("wrong in %d of %d permutations; in the real order: %v", wrong, runs, found)
	}
}
