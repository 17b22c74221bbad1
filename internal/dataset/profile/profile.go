package profile

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// format is the version of a profile's encoding.
const format = 1

// Profile is what the rows of a snapshot look like.
type Profile struct {
	Format int         `json:"format"` // 1
	Train  SideProfile `json:"train"`
	Test   SideProfile `json:"test"`
}

// SideProfile is the rows of one side.
type SideProfile struct {
	Rows    int64    `json:"rows"`
	Columns []Column `json:"columns"` // in the order of the plan
}

// Column returns the column of that name, or nil.
func (s *SideProfile) Column(name string) *Column {
	for i := range s.Columns {
		if s.Columns[i].Name == name {
			return &s.Columns[i]
		}
	}
	return nil
}

// Column is one column of one side.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // see models.Column
	Role string `json:"role"`
	Rows int64  `json:"rows"`
	// Nulls are rows without a value; NaN, which programs that know no null write
	// instead, is one too. NaNs says how many of the nulls are.
	Nulls int64 `json:"nulls,omitempty"`
	NaNs  int64 `json:"nans,omitempty"`
	// Sensitive columns have neither Numbers nor Values.
	Sensitive bool     `json:"sensitive,omitempty"`
	Numbers   *Numbers `json:"numbers,omitempty"` // of all types but string; times as Unix seconds
	Lengths   *Lengths `json:"lengths,omitempty"` // of strings
	Values    *Values  `json:"values,omitempty"`
}

// NullFraction is the share of rows without a value; 0 without rows.
func (c *Column) NullFraction() float64 {
	if c.Rows == 0 {
		return 0
	}
	return float64(c.Nulls) / float64(c.Rows)
}

// Numbers is a column's numbers, those that are not null.
type Numbers struct {
	Count    int64 `json:"count"`              // of finite ones
	Infinite int64 `json:"infinite,omitempty"` // either sign; they are in Buckets too
	// Min and Max are of the finite numbers; both 0 without any.
	Min float64 `json:"min"`
	Max float64 `json:"max"`
	// Mean and Sigma, the standard deviation, follow from the sums.
	Mean  float64 `json:"mean"`
	Sigma float64 `json:"sigma"`
	// Sum and Squares are the exact sums of the numbers and of their squares, in
	// hexadecimal, so that they can be added in any order.
	Sum     string `json:"sum"`
	Squares string `json:"squares"`
	// Days says that buckets are days, see Bucket.
	Days    bool     `json:"days,omitempty"`
	Buckets []Bucket `json:"buckets"` // those with rows, rising
}

// Lengths bounds the bytes of strings.
type Lengths struct {
	Count int64 `json:"count"`
	Min   int64 `json:"min"`
	Max   int64 `json:"max"`
	Total int64 `json:"total"`
}

// Mean is the mean number of bytes; 0 without strings.
func (l Lengths) Mean() float64 {
	if l.Count == 0 {
		return 0
	}
	return float64(l.Total) / float64(l.Count)
}

// Values counts different values.
type Values struct {
	// Distinct is how many there are; Error is the relative standard error of that,
	// 0: it is exact.
	Distinct int64   `json:"distinct"`
	Error    float64 `json:"error,omitempty"`
	// Sketch is a HyperLogLog's registers; empty while Distinct is exact.
	Sketch []byte `json:"sketch,omitempty"`
	// Top are values with their rows, the most frequent ones first: all of them
	// while Lacks is 0. Beyond that up to Lacks rows are missing from each count, and
	// a value that is not there has at most Lacks rows.
	Top   []Count `json:"top"`
	Lacks int64   `json:"lacks,omitempty"`
}

// Exact reports whether Top has every value with all its rows.
func (v *Values) Exact() bool { return v.Lacks == 0 }

// Count is a value, as dataset.Series.Text writes it, and its rows.
type Count struct {
	Value string `json:"value"`
	Rows  int64  `json:"rows"`
}

// Encode writes a profile; equal profiles have the same bytes.
func (p Profile) Encode() ([]byte, error) { return json.Marshal(p) }

// Decode reads what Encode has written.
func Decode(data []byte) (Profile, error) {
	var p Profile
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return Profile{}, fmt.Errorf("read a profile: %w", err)
	}
	if p.Format != format {
		return Profile{}, fmt.Errorf("read a profile: it has format %d, this program knows %d", p.Format, format)
	}
	return p, nil
}
