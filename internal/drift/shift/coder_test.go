package shift

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// places is a reference of one number, one truth and one category, sliced by all
// kinds of columns.
func places(t *testing.T) (*Reference, *Coder) {
	t.Helper()
	const n = 400
	table := dataset.Table{Series: []dataset.Series{
		{Name: "at", Type: dataset.TypeTimestamp}, {Name: "class", Type: dataset.TypeString}, {Name: "ratio", Type: dataset.TypeFloat64, Nulls: make([]bool, n)},
		{Name: "open", Type: dataset.TypeBool}, {Name: "origin", Type: dataset.TypeString, Nulls: make([]bool, n)},
	}}
	rows := Rows{}
	for i := range n {
		table.Series[0].Ints = append(table.Series[0].Ints, firstDay.Add(time.Duration(i)*time.Hour).UnixMicro())
		table.Series[1].Strings = append(table.Series[1].Strings, []string{"a", "b", "c"}[i%3])
		table.Series[2].Floats = append(table.Series[2].Floats, float64(float32(0.1)*float32(i%10))) // as 32-bit floats
		table.Series[3].Ints = append(table.Series[3].Ints, int64(i%2))
		origin := []string{"JFK", "LGA", "EWR"}[i%3]
		if i == 7 {
			origin = "a passenger's name"
		}
		table.Series[4].Strings = append(table.Series[4].Strings, origin)
		rows.Labels, rows.Losses = append(rows.Labels, float64(i%3)), append(rows.Losses, 0.5)
		rows.Predictions = append(rows.Predictions, 0.2, 0.3, 0.5)
	}
	table.Series[2].Floats[0], table.Series[2].Nulls[0] = 0, true
	rows.Table = table
	data := models.DataSpec{Key: "id", Time: "at", Label: "class", Task: models.TaskMulticlass, Classes: []string{"a", "b", "c"}, Features: []string{"ratio", "open", "origin"}}
	spec := models.MonitorSpec{Slices: []models.SliceSpec{
		{Column: "origin", Max: 2}, {Column: "ratio", Quantiles: 2}, {Column: "open"}, {Column: "class"}, {Column: "at", Quantiles: 2},
	}}.WithDefaults()
	r, err := Build(rows, Plan{Data: data, Monitor: spec, Width: 3, Features: data.Features})
	if err != nil {
		t.Fatal(err)
	}
	return r, r.Coder("at", "class")
}

func TestCodes(t *testing.T) {
	r, c := places(t)
	if want := []string{"ratio", "open", "origin"}; !slices.Equal(c.Columns(), want) || c.Width() != 8 {
		t.Fatalf("columns %v, width %d", c.Columns(), c.Width())
	}
	name := func(codes []uint8) (features, cuts []string) {
		for i := range r.Features {
			features = append(features, r.Features[i].binName(int(codes[i])))
		}
		for i := range r.Slicings {
			cuts = append(cuts, r.Slicings[i].Names[codes[len(r.Features)+i]])
		}
		return features, cuts
	}
	codes := make([]uint8, c.Width())
	c.Clear(codes)
	features, cuts := name(codes)
	if want := []string{"no value", "no value", "no value"}; !slices.Equal(features, want) || !slices.Equal(cuts, slices.Repeat([]string{"null"}, 5)) {
		t.Errorf("a blank row has %v and %v", features, cuts)
	}
	c.Number(codes, 0, 0.7) // the reference has 0.69999998…
	c.Number(codes, 1, 1)
	c.Text(codes, 2, []byte("LGA"))                      // one fewer than the others, of which two have a slice
	c.Time(codes, firstDay.AddDate(1, 0, 0).UnixMicro()) // after all of the reference's
	c.Label(codes, 2)
	features, cuts = name(codes)
	if want := []string{"(0.65, 0.75]", "(0.5, 1]", "LGA"}; !slices.Equal(features, want) {
		t.Errorf("bins %v, want %v", features, want)
	}
	if cuts[0] != "other" || !strings.HasPrefix(cuts[1], "(") || cuts[2] != "true" || cuts[3] != "c" || !strings.HasSuffix(cuts[4], "2013-01-17T15:00:00Z]") {
		t.Errorf("slices %v", cuts)
	}
	for text, want := range map[string]string{"a passenger's name": "rare ones", "XYZ": "not in the reference", "JFK": "JFK"} {
		c.Text(codes, 2, []byte(text))
		if features, _ = name(codes); features[2] != want {
			t.Errorf("%q is %q, want %q", text, features[2], want)
		}
	}
	for value, want := range map[float64]string{-100: "up to ", 1e9: "above ", math.Inf(1): "above "} {
		c.Number(codes, 0, value)
		if features, _ = name(codes); !strings.HasPrefix(features[0], want) {
			t.Errorf("%v is %q", value, features[0])
		}
	}
	if data, err := r.Encode(); err != nil || bytes.Contains(data, []byte("passenger")) {
		t.Errorf("the reference names a value that hardly anybody has; error %v", err)
	}
}

// TestBinsHoldTheReference: bins of equal size, each value in the bin that says so.
func TestBinsHoldTheReference(t *testing.T) {
	values := make([]float64, 10_000)
	for i := range values {
		values[i] = math.Pow(float64(i), 1.7)
	}
	f := cutFeature(&dataset.Series{Name: "x", Type: dataset.TypeFloat64, Floats: slices.Clone(values)}, 10)
	counts := make([]int, f.Missing())
	for _, v := range values {
		counts[bin(f.Edges, v)]++
	}
	if want := []int{0, 0, 0, 0, 20, 180, 800, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 800, 180, 20, 0, 0, 0, 0}; !slices.Equal(counts, want) {
		t.Errorf("counts %v", counts)
	}
	for name, floats := range map[string][]float64{"one value": {3, 3, 3}, "none": {math.NaN()}, "huge": {-math.MaxFloat64, 0, math.MaxFloat64}, "infinite": {math.Inf(-1), 1, 2}, "tiny": {1, math.Nextafter(1, 2)}} {
		f := cutFeature(&dataset.Series{Name: "x", Type: dataset.TypeFloat64, Floats: floats}, 4)
		if !slices.IsSorted(f.Edges) || f.Bins() > 255 || slices.ContainsFunc(f.Edges, func(v float64) bool { return math.IsInf(v, 0) || math.IsNaN(v) }) {
			t.Errorf("%s: edges %v", name, f.Edges)
		}
		for _, v := range floats {
			if at := bin(f.Edges, v); !math.IsNaN(v) && int(at) >= f.Bins() {
				t.Errorf("%s: bin %d of %d", name, at, f.Bins())
			}
		}
	}
}

// TestPartsMerge: counting in parts by several goroutines gives the same as
// counting at once.
func TestPartsMerge(t *testing.T) {
	s := newStream(5)
	r := build(t, s, 20)
	rows := s.days(20, 8)
	c := newCounting(r, rows, s.plan())
	whole, parts := r.newBlock(), make([]*Block, 8)
	for row := range rows.Losses {
		c.add(whole, row)
	}
	var group sync.WaitGroup
	for k := range parts {
		group.Go(func() {
			parts[k] = r.newBlock()
			for row := k * 200; row < (k+1)*200; row++ {
				c.add(parts[k], row)
			}
		})
	}
	group.Wait()
	merged := r.newBlock()
	for _, part := range parts {
		merged.Merge(part)
	}
	merged.rounded()
	whole.rounded()
	if !reflect.DeepEqual(merged, whole) {
		t.Error("the sum of parts is not the whole")
	}
	data, err := merged.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := r.DecodeBlock(data); err != nil || !reflect.DeepEqual(back, merged) {
		t.Errorf("read back: %v", err)
	}
	other := build(t, &stream{random: s.random, numbers: 2, rows: 100, cluster: 0.1}, 10)
	if _, err := other.DecodeBlock(data); err == nil {
		t.Error("a block of another reference was taken")
	}
}

// TestReferenceIsSmallAndTheSame: 20 features and 60 blocks.
func TestReferenceIsSmallAndTheSame(t *testing.T) {
	encode := func() []byte {
		s := newStream(6)
		s.numbers = 19
		data, err := build(t, s, 60).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	data := encode()
	t.Logf("%d bytes", len(data))
	if len(data) > 250<<10 || !bytes.Equal(data, encode()) {
		t.Errorf("%d bytes, or not the same twice", len(data))
	}
	r, err := DecodeReference(data)
	if err != nil || len(r.Blocks) != 60 || r.Blocks[59].Labelled != 200 || r.Losses("origin")[3].Slices[0].Labelled == 0 {
		t.Errorf("read back: %v", err)
	}
	if _, err := DecodeReference(bytes.Replace(data, []byte(`"format":1`), []byte(`"format":9`), 1)); err == nil {
		t.Error("another format was taken")
	}
}

func TestBlocksOfRows(t *testing.T) {
	s := newStream(7)
	plan := s.plan()
	plan.Monitor.Block, plan.Monitor.BlockRows = 0, 150
	rows := s.days(0, 3)
	times := rows.Table.Column("at").Ints
	times[149], times[150], times[151] = times[148]+1, times[148]+1, times[148]+1 // a tie at the cut
	r, err := Build(rows, plan)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for i := range r.Blocks {
		sizes = append(sizes, r.Blocks[i].Rows)
		if i > 0 && r.Blocks[i].Start.Before(r.Blocks[i-1].End) {
			t.Errorf("block %d overlaps the one before", i)
		}
	}
	if want := []int64{152, 150, 150}; !slices.Equal(sizes, want) || r.All.Rows != 600 {
		t.Errorf("blocks of %v rows, want %v", sizes, want)
	}
}

func TestNothingIsAllocatedPerRow(t *testing.T) {
	_, c := places(t)
	codes, b, text := make([]uint8, c.Width()), c.NewBlock(), []byte("LGA")
	if n := testing.AllocsPerRun(100, func() {
		c.Clear(codes)
		c.Number(codes, 0, 0.35)
		c.Number(codes, 1, 0)
		c.Text(codes, 2, text)
		c.Time(codes, firstDay.UnixMicro())
		b.Add(codes, Outcome{Labelled: true, Loss: 0.3})
	}); n != 0 {
		t.Errorf("%v allocations per row", n)
	}
}

// BenchmarkRows codes and counts rows of 20 features on two goroutines.
func BenchmarkRows(b *testing.B) {
	s := newStream(8)
	s.numbers, s.rows = 19, 10_000
	r := build(b, s, 10)
	rows := s.days(10, 10)
	c := r.Coder("at", "late")
	origins, floats := make([][]byte, len(rows.Losses)), make([][]float64, 19)
	for row, name := range rows.Table.Column("origin").Strings {
		origins[row] = []byte(name)
	}
	for k := range floats {
		floats[k] = rows.Table.Column(fmt.Sprintf("x%d", k)).Floats
	}
	b.ResetTimer()
	for b.Loop() {
		var group sync.WaitGroup
		for part := range 2 {
			group.Go(func() {
				block, codes := c.NewBlock(), make([]uint8, c.Width())
				for row := part * 50_000; row < (part+1)*50_000; row++ {
					c.Clear(codes)
					c.Text(codes, 0, origins[row])
					for k := range floats {
						c.Number(codes, k+1, floats[k][row])
					}
					expected, ok := r.ExpectedLoss(rows.Predictions[row : row+1])
					block.Add(codes, Outcome{Labelled: true, Loss: rows.Losses[row], Estimated: expected, Expected: ok})
				}
				runtime.KeepAlive(block)
			})
		}
		group.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000*1e6/1e9, "s/1M-rows")
}
