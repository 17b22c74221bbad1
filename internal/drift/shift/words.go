package shift

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Told is what the two sentences about an alarm are made of.
type Told struct {
	Explanation models.Explanation
	Since       time.Time // when the loss changed
	Blocks      int
	Labelled    int64
	// Compared says that there was a reference to hold inputs and slices against.
	Compared bool
}

// Words are two sentences for somebody who has just been woken: what happened,
// and what it is likely to be.
func Words(t Told) string { return t.happened() + " " + t.reason() }

func (t Told) happened() string {
	e := t.Explanation
	text := fmt.Sprintf("The mean loss is %s instead of %s", figure(e.Loss), figure(e.LossBefore))
	if e.LossBefore > 0 {
		text += fmt.Sprintf(" (%+.0f %%)", 100*(e.Loss/e.LossBefore-1))
	}
	if !t.Since.IsZero() {
		text += " since about " + moment(t.Since)
	}
	if t.Blocks > 0 {
		text += fmt.Sprintf(", over %s with %d labelled predictions", count(t.Blocks, "block"), t.Labelled)
	}
	return text + "."
}

func (t Told) reason() string {
	e := t.Explanation
	var features, slices []string
	for _, f := range e.Features {
		if f.Moved {
			features = append(features, f.Feature)
		}
	}
	for _, s := range e.Slices {
		if s.Moved {
			slices = append(slices, s.Column+" = "+s.Slice)
		}
	}
	switch {
	case !t.Compared:
		return "Why can't be said: there is nothing that inputs and slices could be compared with."
	case e.Column != "" && e.Loss > e.LossBefore:
		return t.split() + named(features, slices) + "."
	case len(features)+len(slices) > 0:
		return "What moved" + strings.TrimPrefix(named(features, slices), "; what moved") + "."
	default:
		return "No input moved by more than chance, so the world that the labels come from is likely to have changed."
	}
}

// split says how the rise divides.
func (t Told) split() string {
	e := t.Explanation
	rise := e.Loss - e.LossBefore
	switch mix := e.Mix / rise; {
	case mix >= 0.75:
		return fmt.Sprintf("Most of the rise (%.0f %%) is that there are more of those requests, by %s, that were always hard", 100*min(mix, 1), e.Column)
	case mix <= 0.25:
		return fmt.Sprintf("Nearly all of it is that the same kinds of requests became harder, not that there are more hard ones (by %s, these explain %.0f %%)", e.Column, 100*max(mix, 0))
	default:
		return fmt.Sprintf("%.0f %% of the rise is that there are more of those requests, by %s, that were always hard, the rest is that requests of the same kinds became harder", 100*mix, e.Column)
	}
}

func named(features, slices []string) string {
	switch {
	case len(features) == 0 && len(slices) == 0:
		return "; no input moved by more than chance"
	case len(slices) == 0:
		return "; what moved: " + listed(features)
	case len(features) == 0:
		return "; no input moved by more than chance, but it is worse for " + listed(slices)
	default:
		return "; what moved: " + listed(features) + "; worse for " + listed(slices)
	}
}

// listed names at most three.
func listed(names []string) string {
	const most = 3
	more := len(names) - most
	if more <= 0 {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// figure has three digits that count.
func figure(v float64) string {
	if v != 0 && (math.Abs(v) < 1e-3 || math.Abs(v) >= 1e5) {
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func moment(t time.Time) string {
	t = t.UTC()
	if t.Hour() == 0 && t.Minute() == 0 {
		return t.Format("2 January 2006")
	}
	return t.Format("2 January 2006 15:04 UTC")
}
