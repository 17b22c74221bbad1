package profile_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// dumb is one column of one side, counted in the plainest way.
func dumb(s *dataset.Series, rows []int) profile.Column {
	c := profile.Column{Name: s.Name, Type: s.Type, Rows: int64(len(rows)), Values: &profile.Values{}}
	counts := map[string]int64{}
	var numbers []float64
	var lengths profile.Lengths
	infinite := int64(0)
	for _, row := range rows {
		if s.Absent(row) {
			c.Nulls++
			if !s.IsNull(row) {
				c.NaNs++
			}
			continue
		}
		text := s.Text(row)
		if text == "-0" {
			text = "0"
		}
		counts[text]++
		n := int64(len(text))
		if lengths.Count++; lengths.Count == 1 {
			lengths.Min = n
		}
		lengths.Total, lengths.Min, lengths.Max = lengths.Total+n, min(lengths.Min, n), max(lengths.Max, n)
		x, _ := s.Number(row)
		if math.IsInf(x, 0) {
			infinite++
			continue
		}
		numbers = append(numbers, x)
	}
	for text, n := range counts {
		c.Values.Top = append(c.Values.Top, profile.Count{Value: text, Rows: n})
	}
	c.Values.Distinct = int64(len(counts))
	if s.Type == dataset.TypeString {
		c.Lengths = &lengths
		return c
	}
	c.Numbers = &profile.Numbers{Count: int64(len(numbers)), Infinite: infinite}
	if len(numbers) > 0 {
		c.Numbers.Min, c.Numbers.Max = slices.Min(numbers)+0, slices.Max(numbers)+0
		c.Numbers.Mean, c.Numbers.Sigma = moments(numbers)
	}
	return c
}

// moments are exact but for the last rounding.
func moments(numbers []float64) (mean, sigma float64) {
	n := new(big.Rat).SetInt64(int64(len(numbers)))
	sum, squares := new(big.Rat), new(big.Rat)
	for _, x := range numbers {
		r := new(big.Rat).SetFloat64(x)
		sum.Add(sum, r)
		squares.Add(squares, r.Mul(r, r))
	}
	sum.Quo(sum, n)
	squares.Quo(squares, n)
	squares.Sub(squares, new(big.Rat).Mul(sum, sum))
	mean, _ = sum.Float64()
	root := new(big.Float).SetPrec(300).SetRat(squares)
	if root.Sign() > 0 {
		root.Sqrt(root)
	}
	sigma, _ = root.Float64()
	return mean, sigma
}

func TestProfileIsWhatCountingSays(t *testing.T) {
	table, sides, plan := world(4000, 11)
	for name, chunk := range map[string]dataset.Chunk{"plain": part(table, 0, 4000), "coded": code(part(table, 0, 4000))} {
		got := pass(t, plan, sides, chunk).Finish().Profile
		for side, of := range map[profile.Side]profile.SideProfile{profile.Train: got.Train, profile.Test: got.Test} {
			var rows []int
			for i, s := range sides {
				if s == side {
					rows = append(rows, i)
				}
			}
			if of.Rows != int64(len(rows)) || len(of.Columns) != len(table.Series)-1 {
				t.Errorf("%s: side %d has %d rows of %d columns", name, side, of.Rows, len(of.Columns))
			}
			for i := range of.Columns {
				compare(t, fmt.Sprintf("%s, side %d", name, side), of.Columns[i], dumb(table.Column(of.Columns[i].Name), rows))
			}
		}
	}
}

func compare(t *testing.T, name string, got, want profile.Column) {
	t.Helper()
	name += ", column " + got.Name
	if got.Rows != want.Rows || got.Nulls != want.Nulls || got.NaNs != want.NaNs {
		t.Errorf("%s: rows, nulls, NaNs %d, %d, %d; want %d, %d, %d", name, got.Rows, got.Nulls, got.NaNs, want.Rows, want.Nulls, want.NaNs)
	}
	if want.Lengths != nil && *got.Lengths != *want.Lengths {
		t.Errorf("%s: lengths %+v, want %+v", name, *got.Lengths, *want.Lengths)
	}
	if got.Sensitive {
		return
	}
	order := func(a, b profile.Count) int { return strings.Compare(a.Value, b.Value) }
	slices.SortFunc(got.Values.Top, order)
	slices.SortFunc(want.Values.Top, order)
	if got.Values.Distinct != want.Values.Distinct || !slices.Equal(got.Values.Top, want.Values.Top) {
		t.Errorf("%s: values %v\nwant %v", name, got.Values.Top, want.Values.Top)
	}
	if want.Numbers == nil {
		return
	}
	g, w := got.Numbers, want.Numbers
	if g.Count != w.Count || g.Infinite != w.Infinite || g.Min != w.Min || g.Max != w.Max || g.Mean != w.Mean || g.Sigma != w.Sigma {
		t.Errorf("%s: numbers %+v\nwant %+v", name, *g, *w)
	}
	rows := int64(0)
	for i, b := range g.Buckets {
		if rows += b.Rows; i > 0 && b.At <= g.Buckets[i-1].At {
			t.Errorf("%s: bucket %d after %d", name, b.At, g.Buckets[i-1].At)
		}
	}
	if rows != g.Count+g.Infinite {
		t.Errorf("%s: %d rows in buckets of %d", name, rows, g.Count+g.Infinite)
	}
}

func TestFindings(t *testing.T) {
	table := dataset.Table{Series: []dataset.Series{
		{Name: "id", Type: "string", Strings: []string{"a", "b", "c", "d", "e", "f", "g", "a"}},
		{Name: "at", Type: "timestamp", Ints: []int64{10, 20, 30, 40, 50, 60, 0, 80}, Nulls: []bool{6: true, 7: false}},
		{Name: "late", Type: "int64", Ints: []int64{0, 1, 2, 0, 0, 0, 0, 1}},
		{Name: "known", Type: "timestamp", Ints: []int64{10, 19, 31, 41, 50, 60, 0, 80}},
		{Name: "seen", Type: "timestamp", Ints: []int64{10, 20, 31, 30, 51, 60, 0, 80}},
		{Name: "carrier", Type: "string", Strings: []string{"UA", "XX", "UA", "", "UA", "UA", "UA", "UA"}, Nulls: []bool{3: true, 7: false}},
		{Name: "distance", Type: "int64", Ints: []int64{-1, 0, 5, 10, 11, 99, 7, 10}},
	}}
	low, high := 0.0, 10.0
	spec := models.DataSpec{
		Time: "at", Key: "id", Label: "late", LabelTime: "known", Features: []string{"carrier", "distance"},
		Columns: map[string]models.ColumnSpec{"distance": {KnownAt: "seen"}},
		Checks: models.DataChecks{
			Range: map[string]models.Range{"distance": {Min: &low, Max: &high}}, Allowed: map[string][]string{"carrier": {"UA", "B6"}},
		},
	}.WithDefaults()
	baseline := profile.Profile{Train: profile.SideProfile{Columns: []profile.Column{
		{Name: "carrier", Type: "string", Values: &profile.Values{Top: []profile.Count{{Value: "XX"}}}},
	}}}
	plan := profile.Plan{Spec: spec, File: "f", Baseline: &baseline, Columns: []models.Column{
		{Name: "distance", Type: "int64", Role: "feature"}, {Name: "carrier", Type: "string", Role: "feature"},
		{Name: "id", Type: "string", Role: "key"}, {Name: "at", Type: "timestamp", Role: "time"},
		{Name: "late", Type: "int64", Role: "label"}, {Name: "known", Type: "timestamp", Role: "label_time"},
		{Name: "seen", Type: "timestamp", Role: "label_time"},
	}}
	sides := []profile.Side{profile.Train, profile.Train, profile.Train, profile.Test, profile.Test, profile.Outside, profile.Unusable, profile.Train}
	row := func(n int64, value string) models.OffendingRow {
		return models.OffendingRow{File: "f", Row: n, Value: value}
	}
	at := func(micros string) string { return "1970-01-01T00:00:00." + micros + "Z" }
	want := []profile.Finding{
		{Rule: "allowed", Column: "carrier", Seen: 5, Count: 1, Rows: []models.OffendingRow{row(2, "XX")}},
		{Rule: "label", Column: "late", Seen: 6, Count: 1, Rows: []models.OffendingRow{row(3, "2")}},
		{Rule: "leakage", Column: "distance", Seen: 6, Count: 2, Rows: []models.OffendingRow{row(3, at("000031")), row(5, at("000051"))}},
		{Rule: "nulls", Column: "at", Seen: 7, Count: 1, Rows: []models.OffendingRow{row(7, "")}},
		{Rule: "nulls", Column: "carrier", Seen: 6, Count: 1, Rows: []models.OffendingRow{row(4, "")}},
		{Rule: "nulls", Column: "distance", Seen: 6},
		{Rule: "nulls", Column: "id", Seen: 6},
		{Rule: "nulls", Column: "late", Seen: 7},
		{Rule: "range", Column: "distance", Seen: 6, Count: 2, Rows: []models.OffendingRow{row(1, "-1"), row(5, "11")}},
		{Rule: "time_order", Column: "known", Seen: 6, Count: 1, Rows: []models.OffendingRow{row(2, at("000019"))}},
		{Rule: "too_late", Column: "distance", Seen: 6, Count: 5},
		{Rule: "unseen", Column: "carrier", Seen: 5, Count: 4, Rows: []models.OffendingRow{row(1, "UA"), row(3, "UA"), row(5, "UA"), row(8, "UA")}},
	}
	for _, n := range []int64{1, 2, 3, 5, 8} {
		want[10].Rows = append(want[10].Rows, row(n, at([]string{1: "00001", 2: "00002", 3: "000031", 5: "000051", 8: "00008"}[n])))
	}
	for name, chunk := range map[string]dataset.Chunk{"plain": {First: 1, Table: table}, "coded": code(dataset.Chunk{First: 1, Table: table})} {
		got := pass(t, plan, sides, chunk).Finish()
		if fmt.Sprint(got.Evidence.Findings) != fmt.Sprint(want) {
			for i := range want {
				if i >= len(got.Evidence.Findings) || fmt.Sprint(got.Evidence.Findings[i]) != fmt.Sprint(want[i]) {
					t.Errorf("%s:\n%+v\nwant\n%+v", name, got.Evidence.Findings[min(i, len(got.Evidence.Findings)-1)], want[i])
				}
			}
		}
		if len(got.Runs) != 2 || got.Runs[1].Column != "id" {
			t.Fatalf("%s: runs %+v", name, got.Runs)
		}
		if n, rows := profile.Repeats(got.Runs[1:]); n != 1 || rows[0] != row(8, "") {
			t.Errorf("%s: %d repeated keys: %v", name, n, rows)
		}
	}
}

func TestOnlyTheFirstOffendersAreKept(t *testing.T) {
	table, sides, plan := world(2000, 2)
	for name, chunk := range map[string]dataset.Chunk{"plain": part(table, 0, 2000), "coded": code(part(table, 0, 2000))} {
		evidence := pass(t, plan, sides, chunk).Finish().Evidence
		found := evidence.Find(profile.RuleRange, "distance")
		var want []int64
		count, distance := int64(0), table.Column("distance")
		for i, side := range sides {
			if side == profile.Outside || distance.IsNull(i) || distance.Ints[i] >= 0 && distance.Ints[i] <= 4000 {
				continue
			}
			if count++; len(want) < models.MaxOffendingRows {
				want = append(want, int64(i)+1)
			}
		}
		var got []int64
		for _, row := range found.Rows {
			got = append(got, row.Row)
		}
		if found.Count != count || !slices.Equal(got, want) {
			t.Errorf("%s: %d offenders, the first %v; want %d, %v", name, found.Count, got, count, want)
		}
	}
}

func TestRowsOfTextsAreLines(t *testing.T) {
	table, _, plan := world(10, 2)
	chunk := part(table, 0, 10)
	chunk.Lines = []int64{2, 3, 4, 5, 6, 9, 10, 11, 12, 13}
	low := 1e6
	plan.Spec.Checks.Range["distance"] = models.Range{Min: &low}
	evidence := pass(t, plan, nil, chunk).Finish().Evidence
	found := evidence.Find(profile.RuleRange, "distance")
	if last := found.Rows[len(found.Rows)-1].Row; last < 6 {
		t.Errorf("rows %+v", found.Rows)
	}
}

func TestSensitiveColumnsLeaveNothing(t *testing.T) {
	table, sides, plan := world(2000, 4)
	result := pass(t, plan, sides, code(part(table, 0, 2000))).Finish()
	text := encoded(t, result.Profile) + fmt.Sprintf("%+v", result.Evidence)
	for _, secret := range []string{"secret-", "777000", "nobody"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q can be read", secret)
		}
	}
	for _, side := range []profile.SideProfile{result.Profile.Train, result.Profile.Test} {
		for _, name := range []string{"ssn", "income"} {
			c := side.Column(name)
			if !c.Sensitive || c.Numbers != nil || c.Values != nil || c.Rows != side.Rows {
				t.Errorf("column %q: %+v", name, c)
			}
		}
		if side.Column("ssn").Lengths.Max != int64(len("secret-000")) {
			t.Errorf("lengths %+v", side.Column("ssn").Lengths)
		}
	}
	for rule, column := range map[string]string{profile.RuleAllowed: "ssn", profile.RuleRange: "income"} {
		f := result.Evidence.Find(rule, column)
		if f.Count == 0 || len(f.Rows) != models.MaxOffendingRows || f.Rows[0].Value != models.Masked {
			t.Errorf("%s of %s: %+v", rule, column, f)
		}
	}
	for _, a := range result.Evidence.Associations {
		if a.Column == "ssn" || a.Column == "income" {
			t.Errorf("column %q is held against the label", a.Column)
		}
	}
}

func TestRefusals(t *testing.T) {
	table, sides, plan := world(10, 1)
	if _, err := profile.NewPass(profile.Plan{Columns: []models.Column{{Name: "x", Type: "decimal"}}}); err == nil {
		t.Error("a column of an unknown type")
	}
	for name, add := range map[string]func(*profile.Pass) error{
		"too few sides": func(p *profile.Pass) error { return p.Add(part(table, 0, 10), sides[:9]) },
		"no column": func(p *profile.Pass) error {
			return p.Add(dataset.Chunk{First: 1, Table: dataset.Table{Series: table.Series[1:]}}, sides)
		},
		"another type": func(p *profile.Pass) error {
			other := part(table, 0, 10)
			other.Table.Series[0].Type = dataset.TypeInt64
			other.Table.Series[0].Ints = make([]int64, 10)
			return p.Add(other, sides)
		},
		"too many rows": func(p *profile.Pass) error {
			far := part(table, 0, 10)
			far.First = math.MaxUint32
			return p.Add(far, sides)
		},
	} {
		p, err := profile.NewPass(plan)
		if err != nil {
			t.Fatal(err)
		}
		if err := add(p); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
