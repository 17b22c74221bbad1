package shift

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// wide are columns of all kinds: few numbers and many, close to each other and
// far from zero, few categories and more than a profile knows, and nulls.
func wide(rows int) dataset.Table {
	random := rand.New(rand.NewPCG(1, 2))
	s := []dataset.Series{
		{Name: "few", Type: dataset.TypeInt64}, {Name: "many", Type: dataset.TypeFloat64}, {Name: "far", Type: dataset.TypeFloat64},
		{Name: "open", Type: dataset.TypeBool}, {Name: "origin", Type: dataset.TypeString}, {Name: "tail", Type: dataset.TypeString}, {Name: "decimal", Type: dataset.TypeFloat64},
	}
	for i := range s {
		s[i].Nulls = make([]bool, rows)
	}
	for i := range rows {
		s[0].Ints = append(s[0].Ints, int64(random.IntN(50)-20))
		s[1].Floats = append(s[1].Floats, random.NormFloat64()*math.Exp(random.NormFloat64()))
		s[2].Floats = append(s[2].Floats, 2013+random.Float64())
		s[3].Ints = append(s[3].Ints, int64(i%2))
		s[4].Strings = append(s[4].Strings, []string{"JFK", "LGA", "EWR"}[i%3])
		s[5].Strings = append(s[5].Strings, "N"+strconv.Itoa(int(10_000*random.ExpFloat64())))
		s[6].Floats = append(s[6].Floats, float64(random.IntN(100_000))/1000)
		s[i%len(s)].Nulls[i] = random.IntN(10) == 0
	}
	return dataset.Table{Series: s}
}

// profileOf is what a preparation stores of a table's rows.
func profileOf(t *testing.T, table dataset.Table, data models.DataSpec) *profile.SideProfile {
	t.Helper()
	plan := profile.Plan{Spec: data.WithDefaults()}
	for _, s := range table.Series {
		plan.Columns = append(plan.Columns, models.Column{Name: s.Name, Type: s.Type, Role: dataset.RoleFeature})
	}
	pass, err := profile.NewPass(plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := pass.Add(dataset.Chunk{First: 1, Table: table}, nil); err != nil {
		t.Fatal(err)
	}
	data2, err := pass.Finish().Profile.Compact().Encode()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := profile.Decode(data2)
	if err != nil {
		t.Fatal(err)
	}
	return &stored.Train
}

func profiledFeatures(t *testing.T, rows int) (dataset.Table, *profile.SideProfile, []Feature) {
	t.Helper()
	table := wide(rows)
	known := profileOf(t, table, models.DataSpec{})
	plan := Plan{Monitor: models.MonitorSpec{}.WithDefaults(), Profile: known}
	var features []Feature
	for i := range table.Series {
		features = append(features, plan.cutFeature(&table.Series[i]))
	}
	return table, known, features
}

// histogram counts a column's rows as a monitor does.
func histogram(f *Feature, s *dataset.Series) []int64 {
	r := &Reference{Features: []Feature{*f}}
	c := r.Coder("", "")
	codes := make([]uint8, s.Len()*c.Width())
	c.CodeTable(codes, dataset.Table{Series: []dataset.Series{*s}})
	counts := make([]int64, f.Bins())
	for _, code := range codes {
		counts[code]++
	}
	return counts
}

// fromProfile is the same by the profile's counts alone.
func fromProfile(t *testing.T, f *Feature, c *profile.Column) []int64 {
	t.Helper()
	counts := make([]int64, f.Bins())
	counts[f.Missing()] = c.Nulls
	switch {
	case f.Type == TypeCategory:
		rest := c.Rows - c.Nulls
		for i, name := range f.Values {
			at := slices.IndexFunc(c.Values.Top, func(v profile.Count) bool { return v.Value == name })
			counts[i] = c.Values.Top[at].Rows
			rest -= counts[i]
		}
		counts[len(f.Values)] = rest
	case c.Values.Exact():
		for _, v := range c.Values.Top {
			number, err := strconv.ParseFloat(v.Value, 64)
			if err != nil {
				t.Fatal(err)
			}
			counts[bin(f.Edges, number)] += v.Rows
		}
	default:
		for i, rows := range c.Numbers.Histogram(f.Edges) {
			counts[i] = int64(rows)
		}
	}
	return counts
}

func TestHistogramsAreTheProfiles(t *testing.T) {
	table, known, features := profiledFeatures(t, 60_000)
	for i := range features {
		f, s := &features[i], &table.Series[i]
		c := known.Column(s.Name)
		if s.Name == "far" || s.Name == "tail" { // see the tests of these
			continue
		}
		if got, want := histogram(f, s), fromProfile(t, f, c); !slices.Equal(got, want) {
			t.Errorf("%s: rows %v, profile %v", s.Name, got, want)
		}
	}
	many := histogram(&features[1], &table.Series[1])
	if most := slices.Max(many); most > 60_000/12 || features[1].Bins() < 20 {
		t.Errorf("bins of unequal size: %v", many)
	}
}

// TestAsWithoutProfile: while a profile knows all values, bins are those that the
// rows give.
func TestAsWithoutProfile(t *testing.T) {
	table, _, features := profiledFeatures(t, 60_000)
	for i, s := range table.Series {
		want := cutFeature(&table.Series[i], 16)
		want.Mean, want.Sigma = features[i].Mean, features[i].Sigma
		switch s.Name {
		case "few", "open", "origin":
			for k, edge := range features[i].Edges {
				if math.Abs(edge-want.Edges[k]) > 1e-9*math.Abs(edge) { // those far out are measured in sigma
					t.Errorf("%s: edge %v, want %v", s.Name, edge, want.Edges[k])
				}
			}
			if !slices.Equal(features[i].Values, want.Values) || len(features[i].Edges) != len(want.Edges) {
				t.Errorf("%s: %+v, want %+v", s.Name, features[i], want)
			}
		case "far": // in one bucket: the rows are cut
			if !reflect.DeepEqual(features[i], cutFeature(&table.Series[i], 16)) {
				t.Errorf("far: %v", features[i].Edges)
			}
		}
	}
}

func TestMoreCategoriesThanAProfileKnows(t *testing.T) {
	table, known, features := profiledFeatures(t, 60_000)
	f := features[5]
	if known.Column("tail").Values.Exact() || !f.Crowded || f.Rare != nil {
		t.Fatalf("%d values, crowded %v", known.Column("tail").Values.Distinct, f.Crowded)
	}
	counts := histogram(&f, &table.Series[5])
	if counts[f.unseen()] != 0 {
		t.Errorf("%d of the reference's own rows are unseen", counts[f.unseen()])
	}
}

// TestRoundedNumbersStayInTheirBins: what comes as a 32-bit float is where the
// reference has it, on edges too.
func TestRoundedNumbersStayInTheirBins(t *testing.T) {
	table, known, features := profiledFeatures(t, 60_000)
	if known.Column("decimal").Values.Exact() {
		t.Fatal("the column has too few values")
	}
	for _, i := range []int{0, 3, 6} {
		for row := range table.Series[i].Len() {
			v, ok := table.Series[i].Number(row)
			if ok && bin(features[i].Edges, v) != bin(features[i].Edges, float64(float32(v))) {
				t.Fatalf("%s: %v moves when it is rounded", table.Series[i].Name, v)
			}
		}
	}
	exact := func(v float64) bool { return float64(float32(v)) == v }
	for _, edge := range features[1].Edges[4 : len(features[1].Edges)-4] {
		above := math.Nextafter(edge, math.Inf(1))
		if !exact(edge) && !exact(above) || bin(features[1].Edges, above) == bin(features[1].Edges, edge) {
			t.Errorf("edge %v does not lie at a number of eight bits", edge)
		}
	}
}

func TestWhatAProfileDoesNotKnowIsCut(t *testing.T) {
	column := dataset.Series{Name: "x", Type: dataset.TypeFloat64, Floats: []float64{1, 2, 3, 4}}
	want := cutFeature(&column, 16)
	for name, c := range map[string]profile.Column{
		"another column": {Name: "y", Type: dataset.TypeFloat64}, "another type": {Name: "x", Type: dataset.TypeString},
		"sensitive": {Name: "x", Type: dataset.TypeFloat64, Sensitive: true},
	} {
		plan := Plan{Monitor: models.MonitorSpec{}.WithDefaults(), Profile: &profile.SideProfile{Columns: []profile.Column{c}}}
		if got := plan.cutFeature(&column); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
