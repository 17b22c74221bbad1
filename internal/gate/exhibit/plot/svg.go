package plot

import (
	"fmt"
	"html"
	"strings"
	"unicode"
)

// The card behind everything makes a plot readable on any page, whatever the
// page's own background. Colours are written out twice, not as variables, which
// only browsers know.
const (
	shapes = `
svg{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-size:12px}
.title{font-size:16px;font-weight:600}.num{font-variant-numeric:tabular-nums}
.end{text-anchor:end}.middle{text-anchor:middle}
.rule,line.limit{stroke-dasharray:5 4;fill:none}
.line{fill:none;stroke-width:2;stroke-linejoin:round}
.fill{stroke:none}.thin{stroke-width:1.3;stroke-dasharray:2 3}.interval{stroke-width:2.5}.strict{stroke-width:1}.mark{stroke-width:1.2}
`
	light = "#ffffff #d8dee6 #1b2430 #596676 #e9edf2 #1d5fd1 #c2620a #1a7f4b #c62f2f #96690b #c9d9f4"
	dark  = "#151b23 #333d4a #e8edf3 #a3b0bf #27303b #6aa7ff #f5a44a #4cc38a #ff7b72 #e3b341 #2c4468"
	inks  = `
.card{fill:CARD;stroke:EDGE}text{fill:INK}text.soft{fill:SOFT}text.limit{fill:FAIL}
.band{fill:BAR;fill-opacity:.45}.fill.candidate{fill:CANDIDATE}.fill.champion{fill:CHAMPION}.mark.open{fill:CARD;stroke:SOFT}
.grid{stroke:GRID}.axis,.rule{stroke:SOFT}line.limit{stroke:FAIL}.bar{fill:BAR}
.candidate{stroke:CANDIDATE}.champion{stroke:CHAMPION}.pass{stroke:PASS}.fail{stroke:FAIL}.unsure{stroke:UNSURE}
.mark.candidate{fill:CANDIDATE;stroke:CARD}.mark.champion{fill:CHAMPION;stroke:CARD}
.mark.pass{fill:PASS;stroke:CARD}.mark.fail{fill:FAIL;stroke:CARD}.mark.unsure{fill:UNSURE;stroke:CARD}
`
)

// palette fills colours in, which are in this order.
func palette(colours string) string {
	names := strings.Fields("CARD EDGE INK SOFT GRID CANDIDATE CHAMPION PASS FAIL UNSURE BAR")
	var pairs []string
	for i, colour := range strings.Fields(colours) {
		pairs = append(pairs, names[i], colour)
	}
	return strings.NewReplacer(pairs...).Replace(inks)
}

func style() string {
	return shapes + palette(light) + "@media (prefers-color-scheme:dark){" + palette(dark) + "}\n"
}

// Canvas writes one SVG. All text is escaped; all numbers have one decimal, so
// that equal evidence gives equal bytes.
type Canvas struct {
	b strings.Builder
}

// NewCanvas begins a picture with its title, and a caption of several lines.
func NewCanvas(width, height float64, title string, caption ...string) *Canvas {
	c := &Canvas{}
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img">`,
		width, height, width, height)
	fmt.Fprintf(&c.b, "<title>%s</title><desc>%s</desc><style>%s</style>\n", escape(title), escape(strings.Join(caption, " ")), style())
	fmt.Fprintf(&c.b, `<rect class="card" x="0.5" y="0.5" width="%.0f" height="%.0f" rx="8"/>`+"\n", width-1, height-1)
	c.Text(24, 32, "title", title)
	for i, line := range caption {
		c.Text(24, 53+17*float64(i), "soft", line)
	}
	return c
}

// Done ends the picture.
func (c *Canvas) Done() string {
	c.b.WriteString("</svg>\n")
	return c.b.String()
}

// escape also drops what XML can't hold.
func escape(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return html.EscapeString(text)
}

// Text writes with its baseline at y.
func (c *Canvas) Text(x, y float64, class, text string) {
	fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, escape(text))
}

// Upright writes along the vertical axis.
func (c *Canvas) Upright(x, y float64, class, text string) {
	fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" class="%s" transform="rotate(-90 %.1f %.1f)">%s</text>`+"\n", x, y, class, x, y, escape(text))
}

// Line joins two points.
func (c *Canvas) Line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&c.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

// Bar is a rectangle by its upper left corner.
func (c *Canvas) Bar(x, y, width, height float64, class string) {
	fmt.Fprintf(&c.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="1.5" class="%s"/>`+"\n", x, y, max(width, 0), max(height, 0), class)
}

// Dot is a round mark; the note is shown on hover.
func (c *Canvas) Dot(x, y, radius float64, class, note string) {
	fmt.Fprintf(&c.b, `<circle cx="%.1f" cy="%.1f" r="%.1f" class="mark %s"><title>%s</title></circle>`+"\n", x, y, radius, class, escape(note))
}

// Diamond is a mark that differs from a dot in shape too.
func (c *Canvas) Diamond(x, y, radius float64, class, note string) {
	fmt.Fprintf(&c.b, `<path d="M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fz" class="mark %s"><title>%s</title></path>`+"\n",
		x, y-radius, radius, radius, -radius, radius, -radius, -radius, class, escape(note))
}

// Path joins points, each an x and a y.
func (c *Canvas) Path(points [][2]float64, class string) {
	if len(points) < 2 {
		return
	}
	c.b.WriteString(`<path d="`)
	for i, p := range points {
		letter := "L"
		if i == 0 {
			letter = "M"
		}
		fmt.Fprintf(&c.b, "%s%.1f %.1f", letter, p[0], p[1])
	}
	fmt.Fprintf(&c.b, `" class="%s"/>`+"\n", class)
}

// letter is about the width of one in the plots' font.
const letter = 6.9

// Width is about that of a text.
func Width(text string) float64 { return letter * float64(len([]rune(text))) }

// Shorten cuts a text to so many letters.
func Shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}
