package terminal

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestScreenRedrawsInPlace: the second frame begins where the first one did,
// and the cursor is back at the end.
func TestScreenRedrawsInPlace(t *testing.T) {
	var out bytes.Buffer
	columns := 100
	s := NewScreen(&out, func() (int, int) { return columns, 50 })
	three := func(columns, rows int) []string { return []string{"a", fmt.Sprint(columns), fmt.Sprint(rows)} }
	s.Draw(three)
	require.Contains(t, out.String(), "a"+clearToRight+"\r\n100"+clearToRight+"\r\n49")
	require.NotRegexp(t, `\x1b\[\d+A`, out.String())
	out.Reset()
	s.Draw(three)
	up := regexp.MustCompile(`\x1b\[(\d+)A`).FindStringSubmatch(out.String())
	require.Equal(t, []string{"\x1b[3A", "3"}, up)
	require.Equal(t, 3, strings.Count(out.String(), "\r\n"))
	columns = 80 // narrower: what was there is wrapped, and cannot be counted back
	out.Reset()
	s.Draw(three)
	require.Contains(t, out.String(), clearScreen)
	out.Reset()
	s.Close()
	s.Close()
	require.Equal(t, showCursor, out.String())
}

func TestNoColour(t *testing.T) {
	require.Equal(t, "\x1b[31mx\x1b[0m", Paint(true).Red("x"))
	require.Equal(t, "x", Paint(false).Red("x"))
	t.Setenv("NO_COLOR", "1")
	require.False(t, bool(Colours()))
}

func TestBars(t *testing.T) {
	for share, want := range map[float64]string{-1: "····", 0: "····", 0.5: "██··", 0.53: "██▏·", 1: "████", 7: "████"} {
		filled, rest := Bar(share, 4)
		require.Equal(t, want, filled+rest, "share %v", share)
	}
	require.Equal(t, "▁▅█", Sparkline([]float64{9, 1, 1.5, 2}, 3))
	require.Equal(t, "▄▄", Sparkline([]float64{1, 1}, 3))
	require.Equal(t, "52,318", Grouped(52318))
	require.Equal(t, "-1,000", Grouped(-1000))
}

func TestWrap(t *testing.T) {
	require.Equal(t, []string{"it matures at", "2026-11-25T21:56:25Z", "漢字 b"}, Wrap("it matures  at 2026-11-25T21:56:25Z 漢字 b", 13))
	require.Equal(t, []string{""}, Wrap(" ", 10))
}
