package activities

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// progressRecord is one line of MAINSPRING_PROGRESS: step and of are counts,
// time is RFC 3339 or Unix seconds, and every other number is a metric.
type progressRecord struct {
	step, of int64
	at       time.Time // zero when the line has none
	metrics  map[string]float64
}

// parseProgress refuses a line that is no JSON object; members that are no
// numbers are left out. NaN and Infinity, which are no JSON, count as numbers:
// Python writes them, and a training that has diverged is not silent.
func parseProgress(line []byte) (progressRecord, bool) {
	var members map[string]any
	err := json.Unmarshal(line, &members)
	if err != nil {
		err = json.Unmarshal(notFinite.ReplaceAll(line, []byte(`$1"$2"`)), &members)
	}
	if err != nil || members == nil {
		return progressRecord{}, false
	}
	record := progressRecord{metrics: map[string]float64{}}
	for name, value := range members {
		number, isNumber := numberOf(value)
		switch {
		case name == "time":
			record.at = progressTime(value)
		case !isNumber:
		case name == "step" && isFinite(number):
			record.step = int64(number)
		case name == "of" && isFinite(number):
			record.of = int64(number)
		case name == "step", name == "of":
		default:
			record.metrics[name] = number
		}
	}
	return record, true
}

// notFinite finds bare words of Python's json in the place of a value.
var notFinite = regexp.MustCompile(`(:\s*)(NaN|-?Infinity)\b`)

func numberOf(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case string:
		switch v {
		case "NaN":
			return math.NaN(), true
		case "Infinity":
			return math.Inf(1), true
		case "-Infinity":
			return math.Inf(-1), true
		}
	}
	return 0, false
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func progressTime(value any) time.Time {
	switch v := value.(type) {
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at.UTC()
		}
	case float64:
		return time.UnixMilli(int64(math.Round(v * 1000))).UTC()
	}
	return time.Time{}
}

// progressTail reads a growing file line by line.
type progressTail struct {
	path   string
	offset int64 // of the first byte that was not returned yet
}

// progressLine is a complete line and the offset behind it.
type progressLine struct {
	text []byte
	end  int64
}

// next returns the lines that were completed since the last call; a file that
// does not exist yet has none.
func (t *progressTail) next() ([]progressLine, error) {
	file, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(t.offset, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	var lines []progressLine
	for {
		line, rest, complete := bytes.Cut(data, []byte{'\n'})
		if !complete {
			return lines, nil
		}
		t.offset += int64(len(line)) + 1
		lines = append(lines, progressLine{line, t.offset})
		data = rest
	}
}

// maxCurve is the number of points a live view gets.
const maxCurve = 60

// curve is the loss by step, thinned evenly: when it is full, every second
// point goes, and from then on only every second new one stays.
type curve struct {
	points [][2]float64
	stride int
	seen   int
}

func (c *curve) add(step int64, loss float64) {
	c.stride = max(c.stride, 1)
	if c.seen++; (c.seen-1)%c.stride != 0 {
		return
	}
	c.points = append(c.points, [2]float64{float64(step), loss})
	if len(c.points) <= maxCurve {
		return
	}
	half := c.points[:0]
	for i := 0; i < len(c.points); i += 2 {
		half = append(half, c.points[i])
	}
	c.points, c.stride = half, 2*c.stride
}

// lossOf picks the metric to draw: "loss", else the first by name that speaks
// of a loss.
func lossOf(metrics map[string]float64) (float64, bool) {
	if loss, ok := metrics["loss"]; ok {
		return loss, true
	}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		if strings.Contains(strings.ToLower(name), "loss") {
			return metrics[name], true
		}
	}
	return 0, false
}
