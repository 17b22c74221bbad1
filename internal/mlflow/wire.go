package mlflow

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tag is a tag or a parameter on the wire.
type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// tagList sorts by key, so that equal maps make equal requests.
func tagList(m map[string]string) []tag {
	if len(m) == 0 {
		return nil
	}
	list := make([]tag, 0, len(m))
	for k, v := range m {
		list = append(list, tag{k, v})
	}
	slices.SortFunc(list, func(a, b tag) int { return strings.Compare(a.Key, b.Key) })
	return list
}

func tagMap(list []tag) map[string]string {
	m := make(map[string]string, len(list))
	for _, t := range list {
		m[t.Key] = t.Value
	}
	return m
}

// integer reads int64 values, which servers write as numbers or as strings.
type integer int64

func (n *integer) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil {
		return fmt.Errorf("integer %s: %w", b, err)
	}
	*n = integer(v)
	return nil
}

// instant turns MLflow's milliseconds into UTC time; 0 is "not set".
func instant(ms integer) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// millis is the inverse of instant.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Metric is one point of a metric's history.
type Metric struct {
	Key string
	// Value may be NaN or infinite. The SQL stores keep an infinity as the
	// largest finite number of its sign.
	Value float64
	// Time is part of the point's identity, at millisecond resolution.
	Time time.Time
	Step int64
}

type wireMetric struct {
	Key       string          `json:"key"`
	Value     json.RawMessage `json:"value"`
	Timestamp integer         `json:"timestamp"`
	Step      integer         `json:"step"`
}

// MarshalJSON implements json.Marshaler; JSON has no NaN and no infinity.
func (m Metric) MarshalJSON() ([]byte, error) {
	value := strconv.AppendFloat(nil, m.Value, 'g', -1, 64)
	switch {
	case math.IsNaN(m.Value):
		value = []byte(`"NaN"`)
	case math.IsInf(m.Value, 1):
		value = []byte(`"Infinity"`)
	case math.IsInf(m.Value, -1):
		value = []byte(`"-Infinity"`)
	}
	return json.Marshal(wireMetric{m.Key, value, integer(millis(m.Time)), integer(m.Step)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Metric) UnmarshalJSON(b []byte) error {
	var w wireMetric
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	value, err := strconv.ParseFloat(strings.Trim(string(w.Value), `"`), 64)
	if err != nil {
		return fmt.Errorf("metric %q: value %s is not a number", w.Key, w.Value)
	}
	*m = Metric{Key: w.Key, Value: value, Time: instant(w.Timestamp), Step: int64(w.Step)}
	return nil
}
