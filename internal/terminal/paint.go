package terminal

import (
	"math"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// Paint colours text with the terminal's own sixteen colours, which fit its
// theme, or leaves it plain.
type Paint bool

func (p Paint) with(code, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold text.
func (p Paint) Bold(s string) string { return p.with("1", s) }

// Dim text.
func (p Paint) Dim(s string) string { return p.with("2", s) }

// Red text.
func (p Paint) Red(s string) string { return p.with("31", s) }

// Green text.
func (p Paint) Green(s string) string { return p.with("32", s) }

// Yellow text.
func (p Paint) Yellow(s string) string { return p.with("33", s) }

// Blue text.
func (p Paint) Blue(s string) string { return p.with("34", s) }

// Cyan text.
func (p Paint) Cyan(s string) string { return p.with("36", s) }

// Plain takes line breaks and control sequences out of text from elsewhere.
func Plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, ansi.Strip(text))
	return strings.Join(strings.Fields(text), " ")
}

// Fit cuts a line to a width, and says so with an ellipsis.
func Fit(line string, columns int) string { return ansi.Truncate(line, max(columns, 1), "…") }

// Wrap breaks a line at spaces alone, so that names and times stay whole; a word
// that is wider than the columns has a line of its own.
func Wrap(line string, columns int) []string {
	var lines []string
	current, width := "", 0
	for word := range strings.FieldsSeq(line) {
		wide := ansi.StringWidth(word)
		if current != "" && width+1+wide > columns {
			lines = append(lines, current)
			current, width = "", 0
		}
		if current != "" {
			current, width = current+" ", width+1
		}
		current, width = current+word, width+wide
	}
	return append(lines, current)
}

// Pad cuts or fills to exactly a width.
func Pad(text string, columns int) string {
	text = Fit(text, columns)
	return text + strings.Repeat(" ", max(0, columns-ansi.StringWidth(text)))
}

// Bar fills a share of a width, in eighths of a cell.
func Bar(share float64, width int) (filled, rest string) {
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

// LogShare is where a value lies between 1 and a limit on a log scale.
func LogShare(value, limit float64) float64 {
	if value <= 1 || limit <= 1 {
		return 0
	}
	return math.Log(value) / math.Log(limit)
}

// Sparkline draws the last values, lowest to highest; a NaN is a gap.
func Sparkline(values []float64, width int) string {
	values = values[max(0, len(values)-width):]
	low, high := Bounds(values)
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

// Bounds of the finite values; 0, 0 when there is none.
func Bounds(values []float64) (low, high float64) {
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
