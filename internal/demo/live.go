package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// liveView redraws one frame in place. The last one stays when it closes, so
// that the scroll-back tells how the demo ended.
type liveView struct {
	out    io.Writer
	size   func() (columns, rows int)
	clock  func() time.Time
	colour bool

	drawn   int // lines on the screen
	columns int // when they were drawn
}

// newLiveView draws on a terminal. NO_COLOR (no-color.org) and TERM=dumb turn
// colours off.
func newLiveView(out io.Writer) View {
	return &liveView{
		out: out, size: sizeOf(out), clock: time.Now,
		colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
	}
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

// Show implements View. The frame goes out in one write: half of one is never
// seen.
func (v *liveView) Show(s Scene) {
	columns, rows := v.size()
	f := frame{scene: s, now: v.clock(), paint: paint(v.colour), columns: min(columns, widest)}
	lines := f.lines(rows - 1) // the last row is the cursor's

	var b strings.Builder
	b.WriteString(beginFrame + hideCursor + wrapOff)
	switch {
	case v.drawn > 0 && columns < v.columns:
		b.WriteString(clearScreen) // the terminal has wrapped what was there
	case v.drawn > 0:
		fmt.Fprintf(&b, "\r\x1b[%dA", v.drawn)
	}
	for _, line := range lines {
		b.WriteString(line + clearToRight + "\r\n")
	}
	b.WriteString(clearBelow + wrapOn + endFrame)
	fmt.Fprint(v.out, b.String())
	v.drawn, v.columns = len(lines), columns
}

// Close implements View.
func (v *liveView) Close() {
	if v.drawn > 0 {
		fmt.Fprint(v.out, showCursor)
		v.drawn = 0
	}
}
