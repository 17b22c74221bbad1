package monitorview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// Moment writes event time, in UTC: the day alone where a day begins.
func Moment(t time.Time) string {
	switch t = t.UTC(); {
	case t.IsZero():
		return "–"
	case t.Equal(t.Truncate(models.Day.Std())):
		return t.Format(time.DateOnly)
	default:
		return t.Format("2006-01-02 15:04")
	}
}

// StateWords says what came of an alarm.
func StateWords(s models.AlarmState) string {
	switch s {
	case models.AlarmAsked:
		return "retraining asked for"
	case models.AlarmWaiting:
		return "waits to ask again"
	case models.AlarmPerson:
		return "a person must decide"
	case models.AlarmPromoted:
		return "new champion"
	case models.AlarmNotHelping:
		return "retraining does not help"
	case models.AlarmFailed:
		return "retraining failed"
	case models.AlarmAccepted:
		return "accepted as normal"
	case models.AlarmRecorded:
		return "recorded, starts nothing"
	case models.AlarmSuperseded:
		return "another version took over"
	default:
		return string(s)
	}
}

// AlarmFigures are what an alarm rests on.
func AlarmFigures(a models.Alarm) string {
	text := fmt.Sprintf("%s at %s of %s; loss %s against %s", cmp.Or(a.Detector, "detector"), terminal.Figure(a.Martingale), terminal.Figure(a.Threshold),
		terminal.Figure(a.Loss), terminal.Figure(a.Reference))
	if !a.Change.IsZero() {
		text += ", since about " + Moment(a.Change)
	}
	return text
}

// ScoreWords says how certain a block's score is.
func ScoreWords(b models.Block) string {
	words := "labels may still change it"
	switch {
	case b.Requests == 0:
		return "no requests"
	case !b.Conclusive && b.Final:
		return "too few labels"
	case !b.Conclusive:
		return "too few labels so far"
	case b.Final:
		words = "final"
	}
	if b.Before != nil {
		words += ", was " + terminal.Figure(*b.Before) + " at first"
	}
	return words
}

// BlockWords says in a line what a block has shown.
func BlockWords(b models.Block) string {
	if !b.Conclusive {
		return ScoreWords(b)
	}
	text := fmt.Sprintf("loss %s on %s of %s labelled", terminal.Figure(b.Loss), terminal.Grouped(b.Labelled), terminal.Grouped(b.Requests))
	if b.Version != "" {
		text += ", version " + b.Version
	}
	if len(b.Looks) > 0 {
		text += ", evidence " + terminal.Figure(b.Martingale)
	}
	return text + ", " + ScoreWords(b)
}

// Moved are the features and slices that moved, strongest first, at most n of
// each.
func Moved(r *models.InputReport, n int) []string {
	var features, cuts []string
	for _, f := range r.Features {
		if f.Moved {
			features = append(features, featureWords(f))
		}
	}
	for _, s := range r.Slices {
		if s.Moved {
			cuts = append(cuts, sliceWords(s))
		}
	}
	return slices.Concat(cut(features, n, "features"), cut(cuts, n, "slices"))
}

func cut(all []string, n int, noun string) []string {
	if len(all) <= n {
		return all
	}
	return append(all[:n:n], fmt.Sprintf("and %d more %s", len(all)-n, noun))
}

func featureWords(f models.FeatureShift) string {
	facts := []string{"PSI " + terminal.Figure(f.PSI), "Jensen-Shannon " + terminal.Figure(f.JS)}
	if f.Wasserstein != 0 {
		facts = append(facts, "moved by "+terminal.Figure(f.Wasserstein)+" standard deviations")
	}
	if f.Nulls != f.NullsBefore {
		facts = append(facts, fmt.Sprintf("nulls %s, were %s", Percent(f.Nulls), Percent(f.NullsBefore)))
	}
	if f.Unseen > 0 {
		facts = append(facts, Percent(f.Unseen)+" in new categories")
	}
	return f.Feature + ": " + strings.Join(facts, ", ")
}

func sliceWords(s models.SliceShift) string {
	return fmt.Sprintf("%s = %s: loss %s, was %s; %s of the traffic, was %s", s.Column, s.Slice,
		terminal.Figure(s.Loss), terminal.Figure(s.LossBefore), Percent(s.Share), Percent(s.ShareBefore))
}

// Percent writes a share.
func Percent(share float64) string { return terminal.Figure(100*share) + " %" }

// Expected is the span of the middle eight in ten of the reference's blocks;
// false: there are too few to say.
func Expected(reference []models.BlockLoss) (span [2]float64, ok bool) {
	losses := make([]float64, len(reference))
	for i, b := range reference {
		losses[i] = b.Loss
	}
	n := len(losses)
	if n < 10 {
		return span, false
	}
	slices.Sort(losses)
	return [2]float64{losses[n/10], losses[n-1-n/10]}, true
}

// Level is the mean loss that is promised of all the traffic; false: no detector
// holds the champion to one.
func Level(watch *models.WatchRequest, detectors []models.Detector) (level float64, ok bool) {
	for _, d := range detectors {
		switch {
		case d.Spec.Kind != models.DetectorLevel || d.Spec.Column != "":
		case d.Level > 0:
			return d.Level, true
		case d.Spec.Level != nil:
			return *d.Spec.Level, true
		case watch != nil && watch.Promised != (models.Estimate{}):
			return watch.Promised.High, true
		}
	}
	return 0, false
}
