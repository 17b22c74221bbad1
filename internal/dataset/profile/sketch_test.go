package profile_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// single profiles one column of training rows.
func single(t *testing.T, s dataset.Series, chunks int) profile.Column {
	t.Helper()
	s.Name = "x"
	plan := profile.Plan{Columns: []models.Column{{Name: "x", Type: s.Type, Role: "feature"}}}
	var parts []dataset.Chunk
	for i := range chunks {
		n := s.Len()
		parts = append(parts, part(dataset.Table{Series: []dataset.Series{s}}, i*n/chunks, (i+1)*n/chunks))
	}
	return pass(t, plan, nil, parts...).Finish().Profile.Train.Columns[0]
}

func floats(n int, seed uint64, draw func(*rand.Rand) float64) dataset.Series {
	random := rand.New(rand.NewPCG(seed, 2))
	s := dataset.Series{Type: dataset.TypeFloat64}
	for range n {
		s.Floats = append(s.Floats, draw(random))
	}
	return s
}

func draws() map[string]func(*rand.Rand) float64 {
	return map[string]func(*rand.Rand) float64{
		"normal":      func(r *rand.Rand) float64 { return r.NormFloat64() },
		"exponential": func(r *rand.Rand) float64 { return -3 * r.ExpFloat64() },
		"small ints":  func(r *rand.Rand) float64 { return float64(r.IntN(200) - 20) },
		"skewed":      func(r *rand.Rand) float64 { return math.Exp(5 * r.NormFloat64()) },
		"one":         func(*rand.Rand) float64 { return 7.25 },
		"far away":    func(r *rand.Rand) float64 { return 1e12 + r.Float64() },
	}
}

func TestQuantilesLieWithinTheirBucket(t *testing.T) {
	for name, draw := range draws() {
		s := floats(20_000, 1, draw)
		n := single(t, s, 3).Numbers
		sorted := slices.Sorted(slices.Values(s.Floats))
		for _, q := range []float64{0, 0.001, 0.01, 0.25, 0.5, 0.75, 0.99, 0.999, 1} {
			exact := sorted[max(0, int(math.Ceil(q*20_000))-1)]
			if got := n.Quantile(q); math.Abs(got-exact) > math.Abs(exact)/128 || got < sorted[0] || got > sorted[len(sorted)-1] {
				t.Errorf("%s: quantile %v is %v, not %v", name, q, got, exact)
			}
		}
	}
}

func TestHistogramsOnEdgesOfAnyProfileAreExact(t *testing.T) {
	for before, draw := range draws() {
		for now, other := range draws() {
			reference, s := single(t, floats(5000, 1, draw), 1), floats(5000, 2, other)
			s.Floats = append(s.Floats, math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), math.MaxFloat64, -5e-324)
			for _, bins := range []int{1, 2, 10, 30} {
				edges := reference.Numbers.Edges(bins)
				if len(edges) > bins-1 || !slices.IsSorted(edges) {
					t.Fatalf("%s: %d bins have edges %v", before, bins, edges)
				}
				want := make([]float64, len(edges)+1)
				for _, x := range s.Floats {
					at, _ := slices.BinarySearch(edges, x)
					want[at]++
				}
				if got := single(t, s, 2).Numbers.Histogram(edges); !slices.Equal(got, want) {
					t.Errorf("%s on %d bins of %s: %v, want %v", now, bins, before, got, want)
				}
			}
		}
	}
}

func TestEdgesDivideEvenly(t *testing.T) {
	n := single(t, floats(50_000, 3, func(r *rand.Rand) float64 { return r.NormFloat64() }), 1).Numbers
	for i, rows := range n.Histogram(n.Edges(10)) {
		if rows < 4300 || rows > 5700 {
			t.Errorf("bin %d has %v rows of 50000", i, rows)
		}
	}
	ints := single(t, floats(5000, 3, func(r *rand.Rand) float64 { return float64(r.IntN(4)) }), 1).Numbers
	if edges := ints.Edges(10); len(edges) != 3 || edges[1] < 1.2 || edges[1] > 1.8 {
		t.Errorf("edges between 0, 1, 2 and 3: %v", edges)
	}
	// Another edge divides the bucket that it lies in.
	if got := ints.Histogram([]float64{1.001}); got[0]+got[1] != 5000 || got[0] < n.Histogram([]float64{0.5})[0]/50_000 {
		t.Errorf("divided within a bucket: %v", got)
	}
}

func TestTimesAreCountedByDay(t *testing.T) {
	s := dataset.Series{Type: dataset.TypeTimestamp}
	for _, hours := range []int64{-1, 0, 23, 24, 47, 48 * 30} {
		s.Ints = append(s.Ints, hours*3600*1e6)
	}
	n := single(t, s, 2).Numbers
	want := []profile.Bucket{{At: -1, Rows: 1}, {At: 0, Rows: 2}, {At: 1, Rows: 2}, {At: 60, Rows: 1}}
	if !n.Days || !slices.Equal(n.Buckets, want) || n.Min != -3600 || n.Max != 48*30*3600 {
		t.Errorf("%+v", n)
	}
	if got := n.Histogram(n.Edges(2)); !slices.Equal(got, []float64{3, 3}) {
		t.Errorf("two bins of days: %v", got)
	}
	if q := n.Quantile(0.5); q < 0 || q >= 86400 {
		t.Errorf("the median is in day %v", q/86400)
	}
}

func TestDistinctCounts(t *testing.T) {
	for _, distinct := range []int{1, 100, profile.MaxValues, profile.MaxValues + 1, 20_000, 300_000} {
		s := dataset.Series{Type: dataset.TypeInt64}
		for i := range 2 * distinct {
			s.Ints = append(s.Ints, int64(i%distinct)*1_000_003)
		}
		v := single(t, s, 5).Values
		if distinct <= profile.MaxValues {
			if !v.Exact() || v.Error != 0 || v.Distinct != int64(distinct) || len(v.Top) != distinct {
				t.Errorf("%d values: %d counted, %d kept, error %v", distinct, v.Distinct, len(v.Top), v.Error)
			}
			continue
		}
		if off := float64(v.Distinct)/float64(distinct) - 1; math.Abs(off) > 3*profile.SketchError || v.Error != profile.SketchError || v.Exact() {
			t.Errorf("%d values: %d estimated, off by %.4f", distinct, v.Distinct, off)
		}
	}
}

// Over many columns the estimate's error is as large as it says.
func TestTheDistinctErrorIsAsStated(t *testing.T) {
	squares, columns := 0.0, 60
	for seed := range columns {
		s := floats(12_000, uint64(seed), func(r *rand.Rand) float64 { return r.Float64() })
		off := float64(single(t, s, 1).Values.Distinct)/12_000 - 1
		squares += off * off
	}
	if rms := math.Sqrt(squares / float64(columns)); rms > 1.3*profile.SketchError || rms < 0.5*profile.SketchError {
		t.Errorf("the relative error is %.4f, %.4f is stated", rms, profile.SketchError)
	}
}

// words has a few frequent strings among many rare ones.
func words(rows int, seed uint64) dataset.Series {
	random := rand.New(rand.NewPCG(seed, 8))
	s := dataset.Series{Name: "x", Type: dataset.TypeString}
	for range rows {
		s.Strings = append(s.Strings, fmt.Sprintf("w%d", int(math.Exp(random.ExpFloat64()*3))))
	}
	return s
}

func TestFrequentValuesKeepTheirBoundInAnyOrder(t *testing.T) {
	s := words(100_000, 1)
	exact := map[string]int64{}
	for _, w := range s.Strings {
		exact[w]++
	}
	table := dataset.Table{Series: []dataset.Series{s}}
	plan := profile.Plan{Columns: []models.Column{{Name: "x", Type: s.Type, Role: "feature"}}}
	check := func(name string, v *profile.Values) {
		t.Helper()
		if v.Exact() || v.Lacks > 100_000/2048 && name != "compact" {
			t.Errorf("%s: up to %d rows are missing of 100000", name, v.Lacks)
		}
		kept := map[string]bool{}
		for i, c := range v.Top {
			if kept[c.Value] = true; c.Rows > exact[c.Value] || c.Rows+v.Lacks < exact[c.Value] {
				t.Errorf("%s: %q has %d rows, %d counted with at most %d missing", name, c.Value, exact[c.Value], c.Rows, v.Lacks)
			}
			if i > 0 && c.Rows > v.Top[i-1].Rows {
				t.Errorf("%s: %q comes after a rarer one", name, c.Value)
			}
		}
		for value, n := range exact {
			if !kept[value] && n > v.Lacks {
				t.Errorf("%s: %q has %d rows and is not there; %d may be missing", name, value, n, v.Lacks)
			}
		}
	}
	whole := single(t, s, 7)
	check("whole", whole.Values)
	compact := profile.Profile{Train: profile.SideProfile{Columns: []profile.Column{whole}}}.Compact()
	if n := len(compact.Train.Columns[0].Values.Top); n != profile.MaxTop {
		t.Errorf("%d values are stored", n)
	}
	check("compact", compact.Train.Columns[0].Values)
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 3))
		cuts := cutUp(random, 100_000)
		var parts []profile.Profile
		for i := 1; i < len(cuts); i++ {
			p := pass(t, plan, nil, part(table, cuts[i-1], cuts[i])).Finish().Profile
			if seed%2 == 1 {
				p = p.Compact()
			}
			parts = append(parts, p)
		}
		random.Shuffle(len(parts), func(i, k int) { parts[i], parts[k] = parts[k], parts[i] })
		merged := parts[0]
		for _, p := range parts[1:] {
			merged, _ = profile.Merge(merged, p)
		}
		v := merged.Train.Columns[0].Values
		if v.Distinct != whole.Values.Distinct || !bytes.Equal(v.Sketch, whole.Values.Sketch) {
			t.Errorf("seed %d: %d different values, %d in one pass", seed, v.Distinct, whole.Values.Distinct)
		}
		if seed%2 == 0 { // compact parts lack more
			check(fmt.Sprintf("seed %d, cut at %v", seed, cuts), v)
		}
	}
}

func TestRunsAreReadBackAndFindRepeats(t *testing.T) {
	table, sides, plan := world(3000, 8)
	var runs []profile.Run
	for i := range 3 {
		plan.File = fmt.Sprintf("%d.parquet", i)
		for _, r := range pass(t, plan, sides[i*1000:(i+1)*1000], part(table, 1000*i, 1000*(i+1))).Finish().Runs {
			if r.Column != "id" {
				continue
			}
			read, err := profile.DecodeRun(r.Encode())
			if err != nil || !reflect.DeepEqual(read, r) {
				t.Fatalf("%v: read %+v, want %+v", err, read, r)
			}
			runs = append(runs, read)
		}
	}
	seen, count := map[string]bool{}, int64(0)
	var first []models.OffendingRow
	for i, side := range sides {
		id := table.Column("id").Strings[i]
		if side != profile.Outside && seen[id] {
			if count++; len(first) < models.MaxOffendingRows {
				first = append(first, models.OffendingRow{File: fmt.Sprintf("%d.parquet", i/1000), Row: int64(i) + 1})
			}
		}
		seen[id] = seen[id] || side != profile.Outside
	}
	if n, rows := profile.Repeats(runs); n != count || !slices.Equal(rows, first) {
		t.Errorf("%d repeats, the first %v; want %d, %v", n, rows, count, first)
	}
	encoded := runs[0].Encode()
	for n := range len(encoded) {
		if _, err := profile.DecodeRun(encoded[:n]); err == nil {
			t.Fatalf("%d of %d bytes were read as a run", n, len(encoded))
		}
	}
}

// Few values with many rows each fall into few groups of the sort.
func TestRunsOfFewValuesAreSorted(t *testing.T) {
	for _, values := range []int{1, 2, 3, 1000} {
		s := dataset.Series{Name: "x", Type: dataset.TypeInt64}
		for i := range 20_000 {
			s.Ints = append(s.Ints, int64(i%values))
		}
		plan := profile.Plan{Columns: []models.Column{{Name: "x", Type: s.Type, Role: "key"}}}
		plan.Spec.Checks.Unique = []string{"x"}
		runs := pass(t, plan, nil, part(dataset.Table{Series: []dataset.Series{s}}, 0, 20_000)).Finish().Runs
		if len(runs) != 1 || len(runs[0].Rows) != 20_000 || !slices.IsSorted(runs[0].Hashes) {
			t.Fatalf("%d values: %d runs", values, len(runs))
		}
		for i := 1; i < 20_000; i++ {
			if runs[0].Hashes[i] == runs[0].Hashes[i-1] && runs[0].Rows[i] <= runs[0].Rows[i-1] {
				t.Fatalf("%d values: row %d after %d", values, runs[0].Rows[i], runs[0].Rows[i-1])
			}
		}
		if n, rows := profile.Repeats(runs); n != int64(20_000-values) || rows[0].Row != int64(values)+1 {
			t.Errorf("%d values: %d repeats from %v", values, n, rows)
		}
	}
}

func TestWholeRowsAreComparedByAllButTheKey(t *testing.T) {
	table, _, plan := world(200, 6)
	double := part(table, 0, 200)
	for i := range double.Table.Series {
		double.Table.Series[i].Append(table.Series[i])
	}
	for i := range double.Table.Column("id").Strings {
		double.Table.Column("id").Strings[i] = fmt.Sprint(i)
	}
	runs := pass(t, plan, nil, double).Finish().Runs
	if n, rows := profile.Repeats(runs[:1]); runs[0].Column != "" || n != 200 || rows[0].Row != 201 {
		t.Errorf("%d repeated rows: %v", n, rows)
	}
	if n, _ := profile.Repeats(runs[1:]); n != 0 {
		t.Errorf("%d repeated keys", n)
	}
	other := plan
	var sealed [2][]profile.Run
	for i, secret := range []string{"sixteen bytes...", "sixteen others.."} {
		other.Secret = []byte(secret)
		sealed[i] = pass(t, other, nil, double).Finish().Runs
		if n, rows := profile.Repeats(sealed[i][:1]); n != 200 || rows[0].Row != 201 {
			t.Errorf("sealed: %d repeated rows: %v", n, rows)
		}
	}
	for i := range runs {
		for _, h := range sealed[0][i].Hashes {
			if slices.Contains(runs[i].Hashes, h) || slices.Contains(sealed[1][i].Hashes, h) {
				t.Fatalf("run %q: a hash is the same with another secret", runs[i].Column)
			}
		}
	}
	other.Secret = []byte("short")
	if _, err := profile.NewPass(other); err == nil {
		t.Error("a short secret is taken")
	}
}
