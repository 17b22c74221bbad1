package plot

import (
	"fmt"
	"html"
	"html/template"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/terminal"
)

// Drawing writes an SVG element piece by piece. Every text and note is escaped;
// classes must not come from outside.
type Drawing struct{ b strings.Builder }

// NewDrawing begins one of that size, in units of its own: pages scale it.
func NewDrawing(width, height float64, title string) *Drawing {
	d := &Drawing{}
	fmt.Fprintf(&d.b, `<svg viewBox="0 0 %.0f %.0f" role="img" xmlns="http://www.w3.org/2000/svg"><title>%s</title>`, width, height, escape(title))
	return d
}

// escape also drops what XML cannot hold.
func escape(text string) string {
	return html.EscapeString(terminal.Plain(strings.ToValidUTF8(text, "�")))
}

// Done closes the element: everything written is a number, a class of ours, or
// escaped.
func (d *Drawing) Done() template.HTML { return template.HTML(d.b.String() + "</svg>") }

// Text writes text that begins at x, unless its class says middle or end.
func (d *Drawing) Text(x, y float64, class, text string) { d.textAt(x, y, class, text, "") }

func (d *Drawing) textAt(x, y float64, class, text, transform string) {
	if transform != "" {
		transform = fmt.Sprintf(` transform="%s"`, transform)
	}
	fmt.Fprintf(&d.b, `<text x="%.1f" y="%.1f" class="%s"%s>%s</text>`, x, y, class, transform, escape(text))
}

// Line draws a straight line.
func (d *Drawing) Line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&d.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2, class)
}

// Rect fills a rectangle; the note is shown on hover.
func (d *Drawing) Rect(x, y, width, height float64, class, note string) {
	fmt.Fprintf(&d.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" class="%s">%s</rect>`, x, y, max(width, 0), max(height, 0), class, noteOf(note))
}

// Dot draws a circle; the note is shown on hover.
func (d *Drawing) Dot(x, y, radius float64, class, note string) {
	fmt.Fprintf(&d.b, `<circle cx="%.1f" cy="%.1f" r="%.1f" class="%s">%s</circle>`, x, y, radius, class, noteOf(note))
}

// Path draws SVG path data.
func (d *Drawing) Path(data, class string) {
	fmt.Fprintf(&d.b, `<path d="%s" class="%s"/>`, data, class)
}

func noteOf(note string) string {
	if note == "" {
		return ""
	}
	return "<title>" + escape(note) + "</title>"
}
