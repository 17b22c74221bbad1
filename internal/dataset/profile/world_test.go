package profile_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

var start = time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)

// world is a table with a column of every kind, and what it is to be held
// against.
func world(rows int, seed uint64) (dataset.Table, []profile.Side, profile.Plan) {
	random := rand.New(rand.NewPCG(seed, 1))
	t := dataset.Table{Series: []dataset.Series{
		{Name: "id", Type: dataset.TypeString}, {Name: "at", Type: dataset.TypeTimestamp}, {Name: "late", Type: dataset.TypeInt64},
		{Name: "known", Type: dataset.TypeTimestamp}, {Name: "carrier", Type: dataset.TypeString}, {Name: "distance", Type: dataset.TypeInt64},
		{Name: "ratio", Type: dataset.TypeFloat64}, {Name: "weekend", Type: dataset.TypeBool}, {Name: "nothing", Type: dataset.TypeFloat64},
		{Name: "ssn", Type: dataset.TypeString}, {Name: "income", Type: dataset.TypeInt64},
	}}
	null := func(s *dataset.Series, share float64) {
		s.Nulls = append(s.Nulls, random.Float64() < share)
		if i := len(s.Nulls) - 1; s.Nulls[i] {
			switch s.Type {
			case dataset.TypeString:
				s.Strings[i] = ""
			case dataset.TypeFloat64:
				s.Floats[i] = 0
			default:
				s.Ints[i] = 0
			}
		}
	}
	sides := make([]profile.Side, rows)
	for i := range rows {
		at := start.Add(time.Duration(random.IntN(20*24*60)) * time.Minute)
		late := int64(random.IntN(2))
		add := func(c int, text string, n int64, x float64) *dataset.Series {
			s := &t.Series[c]
			switch s.Type {
			case dataset.TypeString:
				s.Strings = append(s.Strings, text)
			case dataset.TypeFloat64:
				s.Floats = append(s.Floats, x)
			default:
				s.Ints = append(s.Ints, n)
			}
			return s
		}
		add(0, fmt.Sprintf("key-%d", random.IntN(3*rows)), 0, 0)
		add(1, "", at.UnixMicro(), 0)
		add(2, "", late, 0)
		add(3, "", at.Add(time.Duration(random.IntN(600)-2)*time.Minute).UnixMicro(), 0)
		null(add(4, []string{"UA", "B6", "", "DL", "ünï"}[random.IntN(5)], 0, 0), 0.1)
		null(add(5, "", int64(random.IntN(5000))-40, 0), 0.02)
		null(add(6, "", 0, odd(random)), 0.05)
		add(7, "", int64(random.IntN(2)), 0)
		null(add(8, "", 0, 0), 1)
		null(add(9, fmt.Sprintf("secret-%03d", random.IntN(50)), 0, 0), 0.1)
		add(10, "", 777_000_000+int64(random.IntN(9)), 0)
		sides[i] = profile.Side(random.IntN(3))
	}
	return t, sides, plan()
}

// odd are numbers of all sizes, and what is none.
func odd(random *rand.Rand) float64 {
	switch random.IntN(12) {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(1 - 2*random.IntN(2))
	case 2:
		return math.Copysign(0, -1)
	case 3:
		return random.NormFloat64() * 1e300
	case 4:
		return random.NormFloat64() * 1e-310 // has no exponent
	case 5:
		return float64(random.IntN(20))
	default:
		return random.NormFloat64()
	}
}

func plan() profile.Plan {
	low, high := 0.0, 4000.0
	spec := models.DataSpec{
		Time: "at", Key: "id", Label: "late", LabelTime: "known", Task: models.TaskBinary,
		Features: []string{"carrier", "distance", "ratio", "weekend", "nothing", "ssn", "income"},
		Columns: map[string]models.ColumnSpec{
			"ssn": {Sensitive: models.SensitiveKeep}, "income": {Sensitive: models.SensitivePseudonymise},
			"distance": {KnownAt: "known"},
		},
		Checks: models.DataChecks{
			Range:   map[string]models.Range{"distance": {Min: &low, Max: &high}, "income": {Max: &high}},
			Allowed: map[string][]string{"carrier": {"UA", "B6", "DL", ""}, "weekend": {"true"}, "ssn": {"nobody"}},
		},
	}.WithDefaults()
	columns := []models.Column{
		{Name: "id", Type: "string", Role: "key"}, {Name: "at", Type: "timestamp", Role: "time"}, {Name: "late", Type: "int64", Role: "label"},
		{Name: "known", Type: "timestamp", Role: "label_time"},
	}
	for _, c := range []models.Column{
		{Name: "carrier", Type: "string"}, {Name: "distance", Type: "int64"}, {Name: "ratio", Type: "float64"}, {Name: "weekend", Type: "bool"},
		{Name: "nothing", Type: "float64"}, {Name: "ssn", Type: "string"}, {Name: "income", Type: "int64"},
	} {
		c.Role = dataset.RoleFeature
		columns = append(columns, c)
	}
	return profile.Plan{Spec: spec, Columns: columns, File: "a.parquet"}
}

// part is some rows of a table as a chunk.
func part(t dataset.Table, from, to int) dataset.Chunk {
	rows, names := make([]int, to-from), make([]string, len(t.Series))
	for i := range rows {
		rows[i] = from + i
	}
	for i := range t.Series {
		names[i] = t.Series[i].Name
	}
	return dataset.Chunk{First: int64(from) + 1, Table: t.Pick(names, rows)}
}

// code gives the chunk codings, with values that repeat and values without rows.
func code(c dataset.Chunk) dataset.Chunk {
	for i := range c.Table.Series {
		s := &c.Table.Series[i]
		values := s.Pick(nil)
		rows := make([]int, 0, s.Len())
		coding := &dataset.Coding{}
		seen := map[string]int32{}
		for row := range s.Len() {
			text := fmt.Sprint(s.IsNull(row), s.Text(row))
			at, ok := seen[text]
			if !ok || row%97 == 0 {
				at = int32(len(rows))
				seen[text], rows = at, append(rows, row)
			}
			coding.Codes = append(coding.Codes, at)
		}
		values = s.Pick(append(rows, rows[:min(1, len(rows))]...))
		coding.Values = &values
		c.Codings = append(c.Codings, coding)
	}
	return c
}

func pass(t *testing.T, p profile.Plan, sides []profile.Side, chunks ...dataset.Chunk) *profile.Pass {
	t.Helper()
	out, err := profile.NewPass(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		n := c.Table.Rows()
		if sides == nil {
			err = out.Add(c, nil)
		} else {
			err, sides = out.Add(c, sides[:n]), sides[n:]
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func encoded(t *testing.T, p profile.Profile) string {
	t.Helper()
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
