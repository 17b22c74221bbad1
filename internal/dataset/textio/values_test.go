package textio

import (
	"math"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func TestTypeOf(t *testing.T) {
	for want, texts := range map[string][]string{
		dataset.TypeInt64:   {"0", "-0", "7", "-12", "9223372036854775807", "-9223372036854775808"},
		dataset.TypeFloat64: {"1.5", "-1.5", "1e3", "5.", ".5", "-.5", "5.0", "NaN", "nan", "inf", "-Inf", "Infinity", "0.1e-7"},
		dataset.TypeBool:    {"true", "False", "TRUE"},
		dataset.TypeTimestamp: {
			"2013-02-01", "2013-02-01T05:15", "2013-02-01 05:15:00", "2013-02-01T05:15:00.123456789Z", "2013-02-01 05:15:00+01", "2013-02-01 05:15:00 UTC",
		},
		dataset.TypeString: {
			"x", "007", "-01", "00.5", "9223372036854775808", "+5", "1e999", "0x1p3", "1_000", "1,5", "1.5.2", "12-3", "--1", "-", ".", "-.", "e5", "1e", "t", "yes",
			"2013-02-30", "2013-2-1", "2013-02-01T", "2013-02-01T25:00", "2013-02-01T05:15:60", "2013-02-01T05:15:00.Z", "2013-02-01T05:15:00+25:00", "2013-02-01x", " 1", "1 ",
		},
	} {
		for _, text := range texts {
			if got := typeOf([]byte(text)); got != want {
				t.Errorf("%q is taken for %s, want %s", text, got, want)
			}
		}
	}
}

func TestParseInt(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "007": 7, "+5": 5, "-5": -5, "5.0": 5, "5.": 5, "-5.000": -5, "9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64,
	} {
		if got, ok := parseInt([]byte(text)); !ok || got != want {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-", "+", ".0", "5.1", "1e3", "9223372036854775808", "-9223372036854775809", "99999999999999999999999", "1 ", "0x1", "--1"} {
		if got, ok := parseInt([]byte(text)); ok {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestParseFloat(t *testing.T) {
	for text, want := range map[string]float64{
		"1": 1, "-1.5": -1.5, "+1.5": 1.5, ".5": 0.5, "5.": 5, "1e3": 1000, "inf": math.Inf(1), "-Infinity": math.Inf(-1), "007.5": 7.5, "1e-400": 0, "0.1": 0.1,
	} {
		if got, ok := parseFloat([]byte(text)); !ok || got != want {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	if got, ok := parseFloat([]byte("NaN")); !ok || !math.IsNaN(got) {
		t.Error("NaN is no number")
	}
	for _, text := range []string{"", "-", ".", "1e999", "0x1p3", "1_0", "in", "infin", "1 ", " 1", "x", "1,5"} {
		if got, ok := parseFloat([]byte(text)); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestParseBool(t *testing.T) {
	for text, want := range map[string]int64{"true": 1, "True": 1, "T": 1, "1": 1, "false": 0, "f": 0, "0": 0} {
		if got, ok := parseBool([]byte(text)); !ok || got != want {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	if _, ok := parseBool([]byte("2")); ok {
		t.Error("2 is a bool")
	}
}

func TestParseTime(t *testing.T) {
	noon := time.Date(2013, 2, 1, 12, 0, 0, 0, time.UTC).UnixMicro()
	for _, c := range []struct {
		format models.TimeFormat
		text   string
		want   int64
	}{
		{"", "2013-02-01T12:00:00Z", noon}, {models.TimeISO, "2013-02-01 13:00+01:00", noon}, {"", "2013-02-01T10:30:00-0130", noon},
		{"", "2013-02-01T12:00:00.0000019Z", noon + 1}, {"", "2013-02-01", noon - 12*hour}, {"", "2013-02-01 12:00:00,5", noon + second/2},
		{"", "1969-12-31T23:59:59.9999995Z", -1}, {"", "0000-01-01", time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()},
		{models.TimeUnix, "1359720000", noon}, {models.TimeUnix, "1359720000.5", noon + second/2}, {models.TimeUnixMillis, "1359720000001", noon + 1000},
		{models.TimeUnixMicros, "1359720000000001", noon + 1}, {models.TimeUnix, "-0.0000015", -2}, {models.TimeUnix, "-1.5", -1_500_000},
		{models.TimeUnixMicros, "1.9", 1}, {models.TimeUnixMicros, "-1.9", -2},
	} {
		if got, ok := parseTime([]byte(c.text), c.format); !ok || got != c.want {
			t.Errorf("%q as %q: %d, %v; want %d", c.text, c.format, got, ok, c.want)
		}
	}
	for format, texts := range map[models.TimeFormat][]string{
		models.TimeUnix:       {"", "-", "1.", ".5", "1e9", "+1", "--1", "9223372036854775807", "2013-02-01"},
		models.TimeUnixMicros: {"9223372036854775808"},
		models.TimeISO:        {"", "1359720000", "2013-02-01T12", "2013-13-01", "2013-02-29", "1900-02-29", "2013-02-01T12:60"},
	} {
		for _, text := range texts {
			if got, ok := parseTime([]byte(text), format); ok {
				t.Errorf("%q as %q: %d", text, format, got)
			}
		}
	}
}

// FuzzISO holds times against package time's.
func FuzzISO(f *testing.F) {
	f.Add(int64(0), uint16(0))
	f.Add(int64(1359720000123456), uint16(61))
	f.Add(int64(-62135596800000001), uint16(1439))
	f.Fuzz(func(t *testing.T, micros int64, ahead uint16) {
		at := time.UnixMicro(micros).In(time.FixedZone("", int(ahead%1440)*60))
		if at.Year() < 0 || at.Year() > 9999 {
			return
		}
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z0700", "2006-01-02T15:04:05.000000-07:00"} {
			text := at.Format(layout)
			if got, ok := ParseISO([]byte(text)); !ok || got != micros {
				t.Errorf("%q: %d, %v; want %d", text, got, ok, micros)
			}
		}
	})
}
