package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Screen redraws one frame in place. The last one stays when it closes, so
// that the scroll-back tells how it ended.
type Screen struct {
	out  io.Writer
	size func() (columns, rows int)

	drawn   int // lines on the screen
	columns int // when they were drawn
}

// NewScreen draws on out. size tells how large it is; nil: as large as the
// terminal that out is.
func NewScreen(out io.Writer, size func() (columns, rows int)) *Screen {
	if size == nil {
		size = sizeOf(out)
	}
	return &Screen{out: out, size: size}
}

// Colours reports whether colours are wanted: NO_COLOR (no-color.org) and
// TERM=dumb turn them off.
func Colours() Paint { return Paint(os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb") }

// Is reports whether out is a terminal.
func Is(out io.Writer) bool {
	file, ok := out.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}

// The size of a terminal that does not tell its own.
const (
	usualColumns = 80
	usualRows    = 40
)

func sizeOf(out io.Writer) func() (int, int) {
	file, ok := out.(interface{ Fd() uintptr })
	return func() (int, int) {
		if ok {
			if columns, rows, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 && rows > 0 {
				return columns, rows
			}
		}
		return usualColumns, usualRows
	}
}

// Control sequences of ECMA-48 and, for the cursor, wrapping and whole-frame
// updates, DEC private modes; terminals ignore the modes they lack.
const (
	hideCursor   = "\x1b[?25l"
	showCursor   = "\x1b[?25h"
	wrapOff      = "\x1b[?7l"
	wrapOn       = "\x1b[?7h"
	beginFrame   = "\x1b[?2026h"
	endFrame     = "\x1b[?2026l"
	clearToRight = "\x1b[K"
	clearBelow   = "\x1b[J"
	clearScreen  = "\x1b[H\x1b[2J"
)

// Draw shows the lines that layout makes for the screen's size in place of
// those before. The frame goes out in one write: half of one is never seen.
func (s *Screen) Draw(layout func(columns, rows int) []string) {
	columns, rows := s.size()
	lines := layout(columns, rows-1) // the last row is the cursor's

	var b strings.Builder
	b.WriteString(beginFrame + hideCursor + wrapOff)
	switch {
	case s.drawn > 0 && columns < s.columns:
		b.WriteString(clearScreen) // the terminal has wrapped what was there
	case s.drawn > 0:
		fmt.Fprintf(&b, "\r\x1b[%dA", s.drawn)
	}
	for _, line := range lines {
		b.WriteString(line + clearToRight + "\r\n")
	}
	b.WriteString(clearBelow + wrapOn + endFrame)
	fmt.Fprint(s.out, b.String())
	s.drawn, s.columns = len(lines), columns
}

// Close gives the cursor back.
func (s *Screen) Close() {
	if s.drawn > 0 {
		fmt.Fprint(s.out, showCursor)
		s.drawn = 0
	}
}
