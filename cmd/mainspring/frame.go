package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/mainspring-ml/mainspring/internal/terminal"
)

const (
	plainColumns = 110
	redrawEvery  = time.Second
)

// layout is how a view of something that goes on is laid out: lines with a
// label in the first column.
type layout struct {
	paint   terminal.Paint
	columns int
	height  int // in lines; 0: as many as there are to show
}

// plainLayout is for files and pipes.
func plainLayout() layout { return layout{columns: plainColumns} }

// labels is the width of the first column.
const labels = 10

// row is a line with a label in the first column.
func (l layout) row(label, text string) string {
	return " " + l.paint.Dim(terminal.Pad(label, labels)) + " " + text
}

// rows is a row whose text goes on below itself where the line is too short.
func (l layout) rows(label, text string, colour func(string) string) []string {
	var lines []string
	for _, line := range terminal.Wrap(text, max(l.columns-labels-3, 20)) {
		lines = append(lines, l.row(label, colour(line)))
		label = ""
	}
	return lines
}

// fitted cuts lines to the layout's width.
func (l layout) fitted(lines []string) []string {
	for i := range lines {
		lines[i] = terminal.Fit(lines[i], l.columns-1)
	}
	return lines
}

// bar is an e-value on a log scale from 1 to its threshold.
func (l layout) bar(label string, colour func(string) string, value, threshold float64) string {
	filled, rest := terminal.Bar(terminal.LogShare(value, threshold), 16)
	return label + " " + colour(filled) + l.paint.Dim(rest) +
		terminal.Pad(fmt.Sprintf(" %s of %s", terminal.Figure(value), terminal.Figure(threshold)), 18)
}

func plainly(text string) string { return text }

func printLines(out io.Writer, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

// live is a view that is redrawn until what it shows has ended, or for ever.
type live struct {
	lines func(layout) []string
	ended func() bool
	look  func(context.Context) error
}

// follow redraws on a terminal. A look that fails keeps the last frame, with
// the reason below it.
func (v live) follow(ctx context.Context, screen *terminal.Screen) {
	defer screen.Close()
	ticker := time.NewTicker(redrawEvery)
	defer ticker.Stop()
	trouble := ""
	for {
		screen.Draw(func(columns, rows int) []string {
			lines := v.lines(layout{terminal.Colours(), columns, max(rows, 1)})
			if trouble != "" {
				lines = append(lines[:min(len(lines), max(rows-2, 0))], "", terminal.Fit(" "+trouble, columns-1))
			}
			return lines[:min(len(lines), max(rows, 1))]
		})
		if v.ended() {
			return
		}
		select {
		case <-ctx.Done():
			return // it goes on without us
		case <-ticker.C:
		}
		switch err := v.look(ctx); {
		case err == nil:
			trouble = ""
		case ctx.Err() == nil:
			trouble = terminal.Plain(err.Error())
		}
	}
}
