package client

import (
	"fmt"
	"unicode/utf8"

	"github.com/mainspring-ml/mainspring/models"
)

// slicesShown bounds the lines of a table: a gate may have hundreds of slices.
const slicesShown = 12

// GateTable writes a gate's checks as lines: what failed first, then what was
// inconclusive, then what passed; of the slices only those that did not pass,
// and how many did.
func GateTable(gate models.GateVerdict) []string {
	var rows []models.GateCheck
	notShown, passed, informing := 0, 0, 0
	for _, verdict := range []models.Verdict{models.VerdictFail, models.VerdictInconclusive, models.VerdictPass} {
		shown := 0
		for _, check := range gate.Checks {
			switch {
			case check.Verdict != verdict:
			case check.Slice == "":
				rows = append(rows, check)
			case verdict == models.VerdictPass:
				passed++
			case shown == slicesShown:
				notShown++
			default:
				shown++
				rows = append(rows, check)
			}
		}
	}
	for _, check := range gate.Checks {
		if check.Verdict == "" { // it informs, and decides nothing
			informing++
		}
	}
	width, figures := 28, 26
	for _, check := range rows {
		width = max(width, utf8.RuneCountInString(checkName(check)))
		figures = max(figures, len(describeFigure(check)))
	}
	var lines []string
	for _, check := range rows {
		limit := check.Limit
		if check.Champion != nil {
			limit += fmt.Sprintf(" (champion %.4f)", check.Champion.Value)
		}
		lines = append(lines, fmt.Sprintf("%-*s %-12s %-*s %s", width, checkName(check), check.Verdict, figures, describeFigure(check), limit))
	}
	if notShown > 0 {
		lines = append(lines, fmt.Sprintf("and %d more checks of slices that did not pass; the version's page in MLflow has them all", notShown))
	}
	if passed > 0 {
		lines = append(lines, count(passed, "check", "checks")+" of slices passed")
	}
	if informing > 0 {
		lines = append(lines, count(informing, "slice", "slices")+" not judged: too few rows or blocks")
	}
	return lines
}

func checkName(check models.GateCheck) string {
	if check.Slice == "" {
		return check.Name
	}
	return check.Name + " in " + check.Slice
}
