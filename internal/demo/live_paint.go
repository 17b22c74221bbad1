package demo

import (
	"math"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// paint colours text with the terminal's own sixteen colours, which fit its
// theme, or leaves it plain.
type paint bool

func (p paint) with(code, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p paint) bold(s string) string   { return p.with("1", s) }
func (p paint) dim(s string) string    { return p.with("2", s) }
func (p paint) red(s string) string    { return p.with("31", s) }
func (p paint) green(s string) string  { return p.with("32", s) }
func (p paint) yellow(s string) string { return p.with("33", s) }
func (p paint) blue(s string) string   { return p.with("34", s) }
func (p paint) cyan(s string) string   { return p.with("36", s) }

// kind colours an event's mark and text.
func (p paint) kind(k EventKind, s string) string {
	switch k {
	case EventAlarm, EventRefused:
		return p.yellow(s)
	case EventPromoted:
		return p.green(s)
	case EventFailure:
		return p.red(s)
	case EventStage, EventReplay:
		return s
	default:
		return s
	}
}

// plain takes line breaks and control sequences out of text from elsewhere.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, ansi.Strip(text))
	return strings.Join(strings.Fields(text), " ")
}

// fit cuts a line to a width, and says so with an ellipsis.
func fit(line string, columns int) string { return ansi.Truncate(line, max(columns, 1), "…") }

// pad cuts or fills to exactly a width.
func pad(text string, columns int) string {
	text = fit(text, columns)
	return text + strings.Repeat(" ", max(0, columns-ansi.StringWidth(text)))
}

// bar fills a share of a width, in eighths of a cell.
func bar(share float64, width int) (filled, rest string) {
	if math.IsNaN(share) {
		share = 0
	}
	eighths := int(math.Round(min(max(share, 0), 1) * float64(width*8)))
	filled = strings.Repeat("█", eighths/8)
	if part := eighths % 8; part > 0 {
		filled += string([]rune("▏▎▍▌▋▊▉")[part-1])
	}
	return filled, strings.Repeat("·", width-len([]rune(filled)))
}

// logShare is where a value lies between 1 and a limit on a log scale.
func logShare(value, limit float64) float64 {
	if value <= 1 || limit <= 1 {
		return 0
	}
	return math.Log(value) / math.Log(limit)
}

// sparkline draws the last values, lowest to highest; a NaN is a gap.
func sparkline(values []float64, width int) string {
	values = values[max(0, len(values)-width):]
	low, high := bounds(values)
	var b strings.Builder
	for _, v := range values {
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			b.WriteByte(' ')
		case high == low:
			b.WriteRune('▄')
		default:
			b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(int((v-low)/(high-low)*8), 7)])
		}
	}
	return b.String()
}

// bounds of the finite values; 0, 0 when there is none.
func bounds(values []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			low, high = min(low, v), max(high, v)
		}
	}
	if low > high {
		return 0, 0
	}
	return low, high
}
