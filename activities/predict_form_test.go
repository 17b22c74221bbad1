package activities

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func TestAnswersHaveTheFormOfTheirTask(t *testing.T) {
	binary := form{models.TaskBinary, 0, "probability"}
	three := form{models.TaskMulticlass, 3, "probability"}
	open := form{models.TaskMulticlass, 0, "probability"}
	number := form{models.TaskRegression, 0, "prediction"}
	for name, c := range map[string]struct {
		form   form
		values []float64
		rows   int
		says   string // empty: it fits
	}{
		"probabilities":         {binary, []float64{0, 0.5, 1}, 3, ""},
		"two columns":           {binary, []float64{0.5, 0.5, 0.5, 0.5}, 2, "one value per row is needed"},
		"half a row":            {binary, []float64{0.5, 0.5, 0.5}, 2, "has the shape [3] for 2 rows"},
		"above 1":               {binary, []float64{0, 1.5}, 2, "is 1.5 for a held-out row, no probability (row 1)"},
		"no number":             {binary, []float64{math.NaN()}, 1, "is NaN"},
		"classes":               {three, []float64{0.2, 0.3, 0.5, 1, 0, 0}, 2, ""},
		"classes of float32":    {three, []float64{0.2, 0.3, 0.5009}, 1, ""},
		"sum below 1":           {three, []float64{0.2, 0.3, 0.4989}, 1, "add up to 0.9989"},
		"sum above 1":           {three, []float64{0.2, 0.3, 0.5011}, 1, "add up to 1.0011"},
		"one class too few":     {three, []float64{0.5, 0.5}, 1, "3 values per row are needed"},
		"one class":             {open, []float64{1, 1}, 2, "one value per row and class is needed"},
		"any number of classes": {open, []float64{0.5, 0.25, 0.25}, 1, ""},
		"negative":              {open, []float64{1.5, -0.5}, 1, "is 1.5"},
		"numbers":               {number, []float64{-7, 1e9}, 2, ""},
		"infinite":              {number, []float64{1, math.Inf(1)}, 2, "is +Inf for a held-out row, no finite number (row 1)"},
	} {
		message, hint := c.form.check(c.values, block{rows: c.rows})
		switch {
		case c.says == "" && message != "":
			t.Errorf("%s: refused: %s", name, message)
		case c.says != "" && (!strings.Contains(message, c.says) || hint == ""):
			t.Errorf("%s: got %q (%q), want it to say %q and what to do", name, message, hint, c.says)
		}
	}
}

// clock advances by what a prediction takes.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestLatencyIsOfRowsSpreadOverAll(t *testing.T) {
	c, asked := &clock{}, []int{}
	latency, err := timeRows(1000, c.now, func(row int) error {
		asked = append(asked, row)
		c.at = c.at.Add(time.Millisecond)
		if len(asked) > warmUps+197 { // the last three
			c.at = c.at.Add(8 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := (models.Latency{Requests: 200, P50Millis: 1, P99Millis: 9}); *latency != want {
		t.Errorf("got %+v, want %+v", *latency, want)
	}
	if timed := asked[warmUps:]; timed[0] != 0 || timed[1] != 5 || timed[199] != 995 {
		t.Errorf("rows %v", timed)
	}

	c, asked = &clock{}, nil
	latency, err = timeRows(3, c.now, func(row int) error { // a slow model, and few rows
		asked = append(asked, row)
		c.at = c.at.Add(1500 * time.Millisecond)
		return nil
	})
	if err != nil || latency.Requests != 3 || latency.P50Millis != 1500 || len(asked) != 4 {
		t.Errorf("got %+v, %v after %d rows; want one row to warm up and three that take more than %s", latency, err, len(asked), timingLimit)
	}
}

// byValue and byQuantile cut one column.
func byValue(column *dataset.Series, limit int) (names []string, groups []int32) {
	return cutOne(models.SliceSpec{Column: column.Name, Max: limit}, column)
}

func byQuantile(column *dataset.Series, parts int) (names []string, groups []int32) {
	return cutOne(models.SliceSpec{Column: column.Name, Quantiles: parts}, column)
}

func cutOne(spec models.SliceSpec, column *dataset.Series) (names []string, groups []int32) {
	slicings, err := cutSlices([]models.SliceSpec{spec}, dataset.Table{Series: []dataset.Series{*column}})
	if err != nil {
		panic(err)
	}
	return slicings[0].Names, slicings[0].Groups
}

func TestSlicesByValue(t *testing.T) {
	words := dataset.Series{Name: "w", Type: dataset.TypeString,
		Strings: []string{"b", "a", "b", "", "null", "other", "c", "a", "b", ""}, Nulls: make([]bool, 10)}
	words.Nulls[9] = true
	names, groups := byValue(&words, 3)
	if want := []string{"b", "a", `""`, "other", "null"}; !reflect.DeepEqual(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	if want := []int32{0, 1, 0, 2, 3, 3, 3, 1, 0, 4}; !reflect.DeepEqual(groups, want) {
		t.Errorf("groups %v, want %v", groups, want)
	}
	if names, _ = byValue(&words, 20); !reflect.DeepEqual(names, []string{"b", "a", `""`, `"null"`, `"other"`, "c", "null"}) {
		t.Errorf("names %q", names)
	}
	bools := dataset.Series{Name: "x", Type: dataset.TypeBool, Ints: []int64{1, 0, 1}}
	if names, _ = byValue(&bools, 20); !reflect.DeepEqual(names, []string{"true", "false"}) {
		t.Errorf("names %q", names)
	}
	floats := dataset.Series{Name: "f", Type: dataset.TypeFloat64, Floats: []float64{2.5, math.NaN(), 2.5}}
	if names, groups = byValue(&floats, 20); !reflect.DeepEqual(names, []string{"2.5", "null"}) || groups[1] != 1 {
		t.Errorf("names %q, groups %v", names, groups)
	}
}

// Names enter the history, and two values must not share one.
func TestSlicesOfLongAndQuotedValues(t *testing.T) {
	long := strings.Repeat("ä", 5000)
	words := dataset.Series{Name: "w", Type: dataset.TypeString, Strings: []string{long + "1", long + "2", "other", `"other"`, "two\nlines | and more", "\xff", "\xfe"}}
	names, groups := byValue(&words, 20)
	if len(names) != 7 || !reflect.DeepEqual(slices.Sorted(slices.Values(groups)), []int32{0, 1, 2, 3, 4, 5, 6}) {
		t.Fatalf("names %.40q, groups %v", names, groups)
	}
	for _, name := range names {
		if len(name) > 100 || !utf8.ValidString(name) || strings.Contains(name, "\n") {
			t.Errorf("%d bytes: %.100q", len(name), name)
		}
	}
}

func TestSlicesByQuantile(t *testing.T) {
	numbers := dataset.Series{Name: "n", Type: dataset.TypeInt64, Ints: []int64{7, 1, 2, 3, 4, 5, 6, 0}, Nulls: make([]bool, 8)}
	numbers.Nulls[7] = true
	names, groups := byQuantile(&numbers, 3)
	if want := []string{"[1, 3]", "(3, 5]", "(5, 7]", "null"}; !reflect.DeepEqual(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	if want := []int32{2, 0, 0, 0, 1, 1, 2, 3}; !reflect.DeepEqual(groups, want) {
		t.Errorf("groups %v, want %v", groups, want)
	}
	same := dataset.Series{Name: "s", Type: dataset.TypeFloat64, Floats: []float64{0.5, 0.5, 0.5, 2}}
	long := dataset.Series{Name: "x", Type: dataset.TypeFloat64, Floats: []float64{3.2714531597144436e-05, 0.123456789, 0.4908508825335999, 0.49086, 0.9}}
	names, groups = byQuantile(&long, 2)
	if want := []string{"[3.27e-05, 0.490851]", "(0.490851, 0.9]", "null"}; !reflect.DeepEqual(names, want[:len(names)]) || !reflect.DeepEqual(groups, []int32{0, 0, 0, 1, 1}) {
		t.Errorf("long numbers: %v, %v", names, groups) // few digits, and the same rows
	}
	if names, groups = byQuantile(&same, 4); !reflect.DeepEqual(names, []string{"[0.5, 0.5]", "(0.5, 2]"}) || groups[3] != 1 {
		t.Errorf("names %q, groups %v", names, groups)
	}
	day := int64(24 * time.Hour / time.Microsecond)
	times := dataset.Series{Name: "t", Type: dataset.TypeTimestamp, Ints: []int64{0, day}}
	if names, _ = byQuantile(&times, 2); !reflect.DeepEqual(names, []string{"[1970-01-01T00:00:00Z, 1970-01-01T00:00:00Z]", "(1970-01-01T00:00:00Z, 1970-01-02T00:00:00Z]"}) {
		t.Errorf("names %q", names)
	}
	empty := dataset.Series{Name: "e", Type: dataset.TypeFloat64, Floats: []float64{0}, Nulls: []bool{true}}
	if names, groups = byQuantile(&empty, 4); !reflect.DeepEqual(names, []string{"null"}) || groups[0] != 0 {
		t.Errorf("names %q, groups %v", names, groups)
	}
}

func TestSlicesOfManyColumnsShareTheLimit(t *testing.T) {
	many := dataset.Series{Name: "k", Type: dataset.TypeInt64}
	for i := range 1000 {
		many.Ints = append(many.Ints, int64(i))
	}
	specs := make([]models.SliceSpec, 40)
	for i := range specs {
		specs[i] = models.SliceSpec{Column: "k", Max: 100, Quantiles: 20 * (i % 2)}
	}
	slicings, err := cutSlices(specs, dataset.Table{Series: []dataset.Series{many}})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, s := range slicings {
		total += len(s.Names)
		for _, group := range s.Groups {
			if group < 0 || int(group) >= len(s.Names) {
				t.Fatalf("a row is in no slice of %q", s.Names)
			}
		}
	}
	if total > 200 || slicings[0].MinRows != 200 || slicings[0].Names[3] != "other" {
		t.Errorf("%d slices, the first %+v", total, slicings[0].Names)
	}
	words := dataset.Series{Name: "w", Type: dataset.TypeString, Strings: []string{"x"}}
	_, err = cutSlices([]models.SliceSpec{{Column: "w", Quantiles: 4}}, dataset.Table{Series: []dataset.Series{words}})
	wantKind(t, err, models.KindInvalidSpec, `column "w" is a string and has no quantiles`)
}
