package demo

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// newView draws on a terminal, and prints lines everywhere else.
func newView(out io.Writer, terminal bool) View {
	if terminal {
		return newLiveView(out)
	}
	return &lineView{out: out}
}

// lineView prints every event once, and where the replay is every few seconds.
type lineView struct {
	out    io.Writer
	events int
	last   time.Duration
}

const lineEvery = 5 * time.Second

func (v *lineView) Show(s Scene) {
	for ; v.events < len(s.Events); v.events++ {
		e := s.Events[v.events]
		fmt.Fprintf(v.out, "%6.1f s  %s%s\n", e.Wall, dayOf(e.EventTime), e.Text)
	}
	if s.Elapsed-v.last < lineEvery {
		return
	}
	v.last = s.Elapsed
	fmt.Fprintf(v.out, "%6.1f s  %s%s\n", s.Elapsed.Seconds(), dayOf(s.EventTime), now(s))
}

// Close implements View; lines need no clearing up.
func (v *lineView) Close() {}

func dayOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly) + "  "
}

// now says in one line what is going on.
func now(s Scene) string {
	switch {
	case s.Training != nil:
		return fmt.Sprintf("%s: step %d of %d", s.Training.Phase, s.Training.Step, s.Training.Of)
	case len(s.Waiting) > 0:
		return "waiting: " + s.Waiting[0]
	case s.Requests == 0 && s.Current != nil:
		return fmt.Sprintf("lifecycle in stage %s", s.Current.Status.Stage)
	case s.HoldsFor != "":
		return "clock held: " + s.HoldsFor
	default:
		traffic := fmt.Sprintf("%d requests (%.0f/s), %d errors", s.Requests, s.PerSecond, s.Errors)
		nearest, ok := s.Monitor.Detector.Nearest()
		if !ok {
			return traffic + ", the champion's reference is being built"
		}
		return fmt.Sprintf("%s, evidence %.2f, alarms at %.1f", traffic, nearest.Value, nearest.Threshold)
	}
}

// pages lists the addresses worth opening.
func pages(ui map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(ui)) {
		fmt.Fprintf(&b, "  %-9s %s\n", name, ui[name])
	}
	return b.String()
}

// closing is the summary at the end.
func closing(s *Story, options Options) string {
	var b strings.Builder
	promoted, refused := 0, 0
	for _, r := range s.Retrains {
		if r.Promoted {
			promoted++
		} else {
			refused++
		}
	}
	fmt.Fprintf(&b, "\n%d requests, %d errors; %d model versions; %d alarms; %d retrainings promoted, %d refused; %.0f s\n",
		s.Requests, s.RequestErrors, len(s.ModelVersions), len(s.Alarms), promoted, refused, s.WallSeconds)
	for _, r := range s.Retrains {
		verdict := "refused "
		if r.Promoted {
			verdict = "promoted"
		}
		fmt.Fprintf(&b, "  %s  %s  %s\n", r.AsOf.Format(time.DateOnly), verdict, r.Reason)
	}
	fmt.Fprintf(&b, "\n  report    %s/report.html\n%s", options.StateDir, pages(s.UI))
	return b.String()
}
