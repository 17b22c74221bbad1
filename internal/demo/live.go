package demo

import (
	"io"
	"time"

	"github.com/mainspring-ml/mainspring/internal/terminal"
)

// liveView redraws one frame in place.
type liveView struct {
	screen *terminal.Screen
	clock  func() time.Time
	paint  terminal.Paint
}

func newLiveView(out io.Writer) View {
	return &liveView{screen: terminal.NewScreen(out, nil), clock: time.Now, paint: terminal.Colours()}
}

// Show implements View.
func (v *liveView) Show(s Scene) {
	v.screen.Draw(func(columns, rows int) []string {
		f := frame{scene: s, now: v.clock(), paint: v.paint, columns: min(columns, widest)}
		return f.lines(rows)
	})
}

// Close implements View.
func (v *liveView) Close() { v.screen.Close() }
