package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// The reason names so many checks of the whole, and so many of slices; the rest
// is counted.
const (
	namedChecks = 5
	namedSlices = 3
)

// explain is one sentence with the figures that decided. A passed gate names
// the quality checks; that there were blocks enough and that the data was
// checked goes without saying.
func explain(verdict models.Verdict, checks []models.GateCheck) string {
	opening := map[models.Verdict]string{
		models.VerdictPass: "passed", models.VerdictFail: "refused", models.VerdictInconclusive: "not enough evidence",
	}[verdict]
	var whole, parts []models.GateCheck
	for _, c := range checks {
		switch {
		case c.Verdict != verdict || verdict == models.VerdictPass && quiet(c):
		case c.Slice != "":
			parts = append(parts, c)
		default:
			whole = append(whole, c)
		}
	}
	phrases := named(whole, namedChecks, "more checks")
	if n := distinct(parts); verdict == models.VerdictPass && n > 0 {
		phrases = append(phrases, plural(n, "slice", "slices")+" within the limits")
	} else {
		phrases = append(phrases, named(parts, namedSlices, "more checks of slices")...)
	}
	return opening + ": " + strings.Join(phrases, "; ")
}

func quiet(c models.GateCheck) bool {
	return c.Name == blocksCheck || strings.HasPrefix(c.Name, dataCheck)
}

func named(checks []models.GateCheck, most int, rest string) []string {
	var phrases []string
	for _, c := range checks[:min(most, len(checks))] {
		phrases = append(phrases, words(c))
	}
	if more := len(checks) - most; more > 0 {
		phrases = append(phrases, fmt.Sprintf("and %d %s", more, rest))
	}
	return phrases
}

func distinct(checks []models.GateCheck) int {
	var names []string
	for _, c := range checks {
		names = append(names, c.Slice)
	}
	slices.Sort(names)
	return len(slices.Compact(names))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func words(c models.GateCheck) string {
	name := c.Name
	if c.Slice != "" {
		name += " in " + c.Slice
	}
	switch {
	case c.Limit == FirstVersion:
		return c.Limit
	case c.Name == blocksCheck:
		return fmt.Sprintf("%.0f %s (needed: %s)", c.Figure.Value, name, c.Limit)
	case strings.HasPrefix(c.Name, dataCheck), strings.Contains(c.Limit, notMeasured):
		return fmt.Sprintf("%s (needed: %s)", name, c.Limit)
	case c.Figure.Low == c.Figure.High:
		return fmt.Sprintf("%s %.4g (needed: %s)", name, c.Figure.Value, c.Limit)
	default:
		return fmt.Sprintf("%s %s (needed: %s)", name, c.Figure.Text(), c.Limit)
	}
}

// briefSlices is how many checks of slices a brief verdict keeps.
const briefSlices = 20

// Brief is a verdict to keep with a version: all checks of the whole and the
// worst of the slices. The evidence among the run's artifacts has all of them.
func Brief(v models.GateVerdict) models.GateVerdict {
	var kept []models.GateCheck
	parts := 0
	for _, c := range v.Checks {
		if c.Slice == "" {
			kept = append(kept, c)
			continue
		}
		if parts++; parts <= briefSlices {
			kept = append(kept, c)
		}
	}
	if parts > briefSlices {
		kept = append(kept, models.GateCheck{
			Name: "further checks of slices", Verdict: informs, Figure: exactly(float64(parts - briefSlices)), Limit: "in evaluation/gate.md",
		})
	}
	v.Checks = kept
	return v
}
