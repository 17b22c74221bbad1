package models

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Ref points at immutable bytes in the artifact store. Only references enter a
// workflow's history, never the bytes.
type Ref struct {
	URI    string `json:"uri"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

// Duration is a time.Duration that people write as "90s", "36h" or "60d" (a
// day is 24 hours; event time knows no daylight saving).
type Duration time.Duration

// Day is the length of one event-time day.
const Day = Duration(24 * time.Hour)

// Std returns d as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes whole days as "60d" and everything else as time.Duration does.
func (d Duration) String() string {
	if d != 0 && d%Day == 0 {
		return strconv.FormatInt(int64(d/Day), 10) + "d"
	}
	return time.Duration(d).String()
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil {
			return fmt.Errorf("duration %q: write a number and a unit, such as 90s, 36h or 60d", s)
		}
		*d = Duration(n * float64(Day))
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q: write a number and a unit, such as 90s, 36h or 60d", s)
	}
	*d = Duration(v)
	return nil
}

// Bytes is an amount of memory that people write as "4GiB", "512MiB" or a bare
// number of bytes.
type Bytes int64

var byteUnits = []struct {
	suffix string
	size   int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

// String writes the largest binary unit that divides b.
func (b Bytes) String() string {
	for _, u := range byteUnits[:4] {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	s, size := string(text), int64(1)
	for _, u := range byteUnits {
		if number, ok := strings.CutSuffix(s, u.suffix); ok {
			s, size = strings.TrimSpace(number), u.size
			break
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("memory %q: write a number and a unit, such as 4GiB or 512MiB", text)
	}
	*b = Bytes(n * float64(size))
	return nil
}
