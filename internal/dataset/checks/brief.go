package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Brief is at most models.MaxSnapshotChecks of the results: those that failed,
// of severity error first, then a line for each other check. A check is never
// left out altogether, nor is that one of them failed.
func Brief(results []models.CheckResult) []models.CheckResult {
	var names []string
	for _, r := range results {
		if !slices.Contains(names, r.Check) {
			names = append(names, r.Check)
		}
	}
	var first, more, others []models.CheckResult
	for _, name := range names {
		bad := worstFirst(name, results)
		if len(bad) == 0 {
			others = append(others, summary(name, results))
			continue
		}
		first, more = append(first, bad[0]), append(more, bad[1:]...)
	}
	room := models.MaxSnapshotChecks - len(first) - len(others)
	if left := len(more) - room; left > 0 && len(first) > 0 {
		more = more[:max(room, 0)]
		last := &first[len(first)-1]
		last.Message += fmt.Sprintf(" (and %d more results failed)", left)
	}
	brief := slices.Concat(first, more)
	slices.SortStableFunc(brief, func(a, b models.CheckResult) int { return rank(a) - rank(b) })
	return slices.Concat(brief, others)
}

// worstFirst are the failed results of a check, those that stop first.
func worstFirst(name string, results []models.CheckResult) (bad []models.CheckResult) {
	for _, r := range results {
		if r.Check == name && failed(r) {
			bad = append(bad, r)
		}
	}
	slices.SortStableFunc(bad, func(a, b models.CheckResult) int { return rank(a) - rank(b) })
	return bad
}

func rank(r models.CheckResult) int {
	if r.Severity == models.SeverityWarn {
		return 1
	}
	return 0
}

// summary is one line for a check of which nothing failed: its only result, or
// how many there are. It has passed if any column has.
func summary(name string, results []models.CheckResult) models.CheckResult {
	var passed, skipped []models.CheckResult
	for _, r := range results {
		switch {
		case r.Check != name:
		case r.Skipped != "":
			skipped = append(skipped, r)
		default:
			passed = append(passed, r)
		}
	}
	switch {
	case len(passed) == 0:
		return skipped[0]
	case len(passed) == 1:
		return passed[0]
	}
	columns := make([]string, 0, len(passed))
	for _, r := range passed {
		if r.Column != "" && !slices.Contains(columns, r.Column) {
			columns = append(columns, r.Column)
		}
	}
	line := models.CheckResult{Check: name, Severity: passed[0].Severity, Passed: true}
	switch n := len(columns); {
	case n == 0:
		messages := make([]string, len(passed))
		for i, r := range passed {
			messages[i] = r.Message
		}
		line.Message = strings.Join(messages, "; ")
	case n <= 5:
		line.Message = fmt.Sprintf("%d results passed, of %s", len(passed), strings.Join(columns, ", "))
	default:
		line.Message = fmt.Sprintf("%d results of %d columns passed", len(passed), n)
	}
	return line
}
