package gate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// minRequests is the least number of timed rows that a percentile of 99 can be
// read from.
const minRequests = 100

// serving holds what answering costs against the limits there are.
func (j judge) serving() []models.GateCheck {
	limits, figures := j.spec.Serving, j.evidence.Serving
	var latency models.Latency
	if figures != nil && figures.Latency != nil {
		latency = *figures.Latency
	}
	var checks []models.GateCheck
	if limits.P50 > 0 {
		checks = append(checks, cost("latency p50 (ms)", latency.P50Millis, millis(limits.P50), untimed(latency, 1)))
	}
	if limits.P99 > 0 {
		figure, why := latency.P99Millis, untimed(latency, minRequests)
		if latency.Requests > 0 && latency.P50Millis > millis(limits.P99) {
			figure, why = latency.P50Millis, "" // half of the rows took longer: so did more than one of a hundred
		}
		checks = append(checks, cost("latency p99 (ms)", figure, millis(limits.P99), why))
	}
	if limits.MaxSize > 0 {
		why, size := "nobody looked", int64(0)
		if figures != nil && figures.SizeBytes > 0 {
			why, size = "", figures.SizeBytes
		}
		const mebi = 1 << 20
		checks = append(checks, cost("model size (MiB)", float64(size)/mebi, float64(limits.MaxSize)/mebi, why))
	}
	return checks
}

func millis(d models.Duration) float64 { return d.Std().Seconds() * 1000 }

// untimed says why a latency can't be judged; empty: it can.
func untimed(latency models.Latency, least int) string {
	switch {
	case latency.Requests <= 0:
		return "the runtime did not measure it"
	case latency.Requests < least:
		return fmt.Sprintf("only %d rows were timed, with a median of %.4g ms; %d are needed", latency.Requests, latency.P50Millis, least)
	default:
		return ""
	}
}

// cost passes a figure up to the limit; why is set when there is none.
func cost(name string, figure, limit float64, why string) models.GateCheck {
	check := models.GateCheck{Name: name, Verdict: models.VerdictPass, Figure: exactly(figure), Limit: fmt.Sprintf("≤ %.4g", limit)}
	switch {
	case why != "" || !known(check.Figure) || figure < 0:
		check.Verdict, check.Figure = models.VerdictInconclusive, models.Estimate{}
		check.Limit += notMeasured + cmp.Or(why, "it is not a number")
	case figure > limit:
		check.Verdict = models.VerdictFail
	}
	return check
}

const dataCheck = "data check "

// data wants the required data checks made and passed; without a list, all that
// were made, but for those whose failure is a warning.
func (j judge) data() []models.GateCheck {
	var checks []models.GateCheck
	if required := j.spec.RequireChecks; len(required) > 0 {
		for _, name := range required {
			checks = append(checks, j.dataCheck(name, true))
		}
		return checks
	}
	for _, name := range models.DataCheckNames() {
		if slices.ContainsFunc(j.evidence.Checks, func(c models.CheckResult) bool { return c.Check == name && c.Skipped == "" }) {
			checks = append(checks, j.dataCheck(name, false))
		}
	}
	return checks
}

// dataCheck counts the results that did not pass. Skipped ones were not made.
// Who requires a check is not content with a warning.
func (j judge) dataCheck(name string, required bool) models.GateCheck {
	made, failed, message, skipped := 0, 0, "", ""
	for _, result := range j.evidence.Checks {
		switch {
		case result.Check != name:
			continue
		case result.Skipped != "":
			skipped = ": " + result.Skipped
			continue
		}
		made++
		if !result.Passed && (required || result.Severity != models.SeverityWarn) {
			failed++
			message = result.Message
		}
	}
	check := models.GateCheck{Name: dataCheck + name, Verdict: models.VerdictPass, Figure: exactly(float64(failed))}
	switch {
	case made == 0:
		check.Verdict, check.Limit = models.VerdictInconclusive, "made and passed; it was not made"+skipped
	case failed > 0:
		check.Verdict, check.Limit = models.VerdictFail, fmt.Sprintf("0 failed (of %d); %s", made, message)
	default:
		check.Limit = fmt.Sprintf("0 failed (of %d)", made)
	}
	return check
}
