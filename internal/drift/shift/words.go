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
	// Judged is the mean of the blocks' losses from the change to the alarm, and
	// Level that of the detectors' reference. The explanation counts requests, so
	// that its figures add up over slices, and later blocks as well.
	Judged float64
	Level  float64
	// Renewed says that the detectors have taken Level, the loss of later blocks,
	// as given, because a retraining did not help or a person said so. The
	// explanation is still against the champion's own rows.
	Renewed bool
	// Compared says that there was a reference to hold inputs and slices against,
	// Moved which features moved, Worse which of so many Slices became worse.
	Compared bool
	Moved    []string
	Worse    []string
	Slices   int
}

// Name takes over what a comparison names.
func (t *Told) Name(features []models.FeatureShift, slices []models.SliceShift) {
	for _, f := range features {
		if f.Moved {
			t.Moved = append(t.Moved, f.Feature)
		}
	}
	for _, s := range slices {
		if s.Moved {
			t.Worse = append(t.Worse, s.Column+" = "+s.Slice)
		}
	}
	t.Slices = len(slices)
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
	switch {
	case t.Renewed:
		text += fmt.Sprintf(" (against the champion's own rows; the detectors had taken %s as given by then)", figure(t.Level))
	case figure(t.Judged) != figure(e.Loss) || figure(t.Level) != figure(e.LossBefore):
		text += fmt.Sprintf(" (at the alarm, every block counting the same, %s instead of %s)", figure(t.Judged), figure(t.Level))
	}
	return text + "."
}

func (t Told) reason() string {
	e := t.Explanation
	switch {
	case !t.Compared:
		return "Why can't be said: there is nothing that inputs and slices could be compared with."
	case e.Column != "" && e.Loss > e.LossBefore:
		return t.split() + "; " + t.named() + "."
	case len(t.Moved)+len(t.Worse) > 0:
		named := t.named()
		return strings.ToUpper(named[:1]) + named[1:] + "."
	default:
		return "No input moved by more than chance, so the world that the labels come from is likely to have changed."
	}
}

// split says how the rise divides.
func (t Told) split() string {
	e := t.Explanation
	share := e.Mix / (e.Loss - e.LossBefore)
	switch {
	case share >= 0.95:
		return fmt.Sprintf("It rose because there are more requests of kinds (by %s) that were always hard", e.Column)
	case share >= 0.5:
		return fmt.Sprintf("About %.0f %% of the rise is that there are more requests of kinds (by %s) that were always hard, the rest is that kinds became harder", 100*share, e.Column)
	case share > 0.05:
		return fmt.Sprintf("About %.0f %% of the rise is that the same kinds of requests (by %s) became harder, the rest is that there are more of the hard ones", 100*(1-share), e.Column)
	default:
		return fmt.Sprintf("It rose because the same kinds of requests (by %s) became harder, not because there are more of the hard ones", e.Column)
	}
}

// named says which inputs moved, and which slices became worse.
func (t Told) named() string {
	text := "no input moved by more than chance"
	if len(t.Moved) > 0 {
		text = "inputs that moved: " + listed(t.Moved)
	}
	switch {
	case len(t.Worse) > 3 && 4*len(t.Worse) >= 3*t.Slices:
		return text + fmt.Sprintf("; worse in %d of %d slices", len(t.Worse), t.Slices)
	case len(t.Worse) > 0:
		return text + "; worse for " + listed(t.Worse)
	}
	return text
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
