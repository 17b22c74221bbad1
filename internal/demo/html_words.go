package demo

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// summary is the report in one line.
func summary(s *Story) string {
	promoted := 0
	for _, r := range s.Retrains {
		if r.Promoted {
			promoted++
		}
	}
	champion := "no champion"
	for _, v := range s.ModelVersions {
		if v.Alias == models.AliasChampion {
			champion = "version " + v.Version + " is champion"
		}
	}
	return fmt.Sprintf("%s, %s promoted, %d refused: %s.", counted(len(s.Alarms), "alarm"),
		counted(promoted, "retraining"), len(s.Retrains)-promoted, champion)
}

// sentences tell what happened from the data alone, in order of event time.
func sentences(s *Story) []string {
	type told struct {
		at   time.Time
		text string
	}
	var all []told
	for _, l := range s.Lifecycles {
		if t := l.Status.Spec.Trigger; t == nil || t.Kind != models.TriggerAlarm {
			all = append(all, told{l.Status.Spec.Data.AsOf, firstSentence(l)})
		}
	}
	for _, a := range s.Alarms {
		all = append(all, told{a.Block, alarmSentence(a)})
	}
	for _, r := range s.Retrains {
		all = append(all, told{r.AsOf, retrainSentence(s, r)})
	}
	slices.SortStableFunc(all, func(a, b told) int { return a.at.Compare(b.at) })
	var lines []string
	for _, t := range all {
		lines = append(lines, t.text)
	}
	if len(lines) == 0 {
		lines = append(lines, "Nothing has happened yet: no lifecycle was seen, and nothing was alarmed or promoted.")
	}
	if s.Requests > 0 {
		lines = append(lines, fmt.Sprintf("The gateway answered %s requests, %s of them with an error.", terminal.Grouped(s.Requests), terminal.Grouped(s.RequestErrors)))
	}
	return lines
}

func firstSentence(l LifecycleStory) string {
	outcome, reason := outcomeOf(l)
	begin := "The first lifecycle, as of " + date(l.Status.Spec.Data.AsOf)
	if outcome != "promoted" {
		return fmt.Sprintf("%s, promoted nothing (%s): %s", begin, outcome, reason)
	}
	text := fmt.Sprintf("%s, made version %s the champion", begin, l.Status.Result.Version)
	if e := l.Status.Evaluation; e != nil {
		text += fmt.Sprintf(", with log-loss %.3f and AUC %.3f on %s held-out rows", e.Candidate[models.LogLoss].Value,
			e.Candidate[models.AUC].Value, terminal.Grouped(e.Rows))
	}
	return text + "."
}

// alarmSentence leaves the losses to the explanation, once there is one.
func alarmSentence(a models.Alarm) string {
	evidence := fmt.Sprintf("%s evidence %s above the threshold of %s", cmp.Or(a.Detector, "the detector's"), terminal.Figure(a.Martingale), terminal.Figure(a.Threshold))
	begin := fmt.Sprintf("On %s the monitor raised an alarm on version %s: ", date(a.Block), a.Version)
	if a.Explanation != nil {
		return begin + evidence + ". " + a.Explanation.Words
	}
	since := ""
	if !a.Change.IsZero() {
		since = " since about " + date(a.Change)
	}
	return begin + fmt.Sprintf("log-loss %.3f%s against %.3f in its reference, %s.", a.Loss, since, a.Reference, evidence)
}

func retrainSentence(s *Story, r Retrain) string {
	if !r.Promoted {
		why := cmp.Or(strings.TrimSuffix(r.Reason, "."), "it has not ended")
		return fmt.Sprintf("The retraining as of %s was not promoted: %s.", date(r.AsOf), why)
	}
	text := fmt.Sprintf("The retraining as of %s was promoted as version %s.", date(r.AsOf), r.Version)
	for _, l := range s.Lifecycles {
		if e := l.Status.Evaluation; l.ID == r.Lifecycle && e != nil && e.Gain != nil {
			text += fmt.Sprintf(" Its gain over the champion on %s held-out rows was %+.3f [%+.3f, %+.3f].",
				terminal.Grouped(e.Rows), e.Gain.Value, e.Gain.Low, e.Gain.High)
		}
	}
	return text
}

// workflowLinks point into the Temporal UI, when there is one.
func workflowLinks(s *Story) []link {
	var links []link
	for _, id := range s.WorkflowIDs {
		l := link{Name: id}
		if ui := s.UI["Temporal"]; ui != "" {
			l.URL = strings.TrimRight(ui, "/") + "/namespaces/" + s.Namespace + "/workflows/" + url.PathEscape(id)
		}
		links = append(links, l)
	}
	return links
}

func offeredLinks(s *Story) []link {
	var links []link
	for _, name := range slices.Sorted(maps.Keys(s.UI)) {
		links = append(links, link{name, s.UI[name]})
	}
	return links
}

func date(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2 January 2006")
}

func percent(share float64) string { return terminal.Figure(share*100) + " %" }

// shortDigest is enough of a digest or run ID to recognise it.
func shortDigest(digest string) string {
	if len(digest) > 12 {
		return digest[:12]
	}
	return digest
}

func metricWord(name string) string {
	switch models.Metric(name) {
	case models.LogLoss:
		return "log-loss"
	case models.Brier:
		return "Brier score"
	case models.AUC:
		return "AUC"
	case models.PRAUC:
		return "average precision"
	case models.F1, models.RMSE, models.MAE, models.R2:
		return strings.ToUpper(name)
	case models.Accuracy, models.Pinball:
		return name
	case models.CalibrationError:
		return "calibration error"
	default:
		return name
	}
}

// estimate has an interval only when it is one.
func estimate(e models.Estimate) string {
	if e == (models.Estimate{}) {
		return "–" // a check that measures nothing
	}
	if e.Low == e.High {
		return terminal.Figure(e.Value)
	}
	return fmt.Sprintf("%.4f [%.4f, %.4f]", e.Value, e.Low, e.High)
}

func readableBytes(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%d B", n)
	}
}
