package activities

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// maxBrief bounds the bytes of the checks that travel with a snapshot: it has
	// its columns as well, and a payload has 32 KiB.
	maxBrief = 10 << 10
	// maxBriefText bounds one message.
	maxBriefText = 300
)

// briefChecks are the checks that travel: those that failed first, errors
// before warnings, then those that could not be made, then the others. Rows go
// along as long as there is room.
func briefChecks(all []models.CheckResult) []models.CheckResult {
	order := slices.Clone(all)
	slices.SortStableFunc(order, func(a, b models.CheckResult) int { return cmp.Compare(weight(a), weight(b)) })
	brief := make([]models.CheckResult, 0, min(len(order), models.MaxSnapshotChecks))
	room := maxBrief
	for i, c := range order {
		c.Message = shortened(c.Message, maxBriefText)
		if len(c.Rows) > 0 && size(c) > room/4 {
			c.Rows = nil
		}
		left := len(order) - i
		if size(c) > room || len(brief) == models.MaxSnapshotChecks-1 && left > 1 {
			return append(brief, models.CheckResult{Check: c.Check, Severity: c.Severity, Passed: c.Passed, Skipped: c.Skipped,
				Message: fmt.Sprintf("and %d more checks, see the report", left)})
		}
		room -= size(c)
		brief = append(brief, c)
	}
	return brief
}

func weight(c models.CheckResult) int {
	switch {
	case c.Passed:
		return 3
	case c.Skipped != "":
		return 2
	case c.Severity == models.SeverityWarn:
		return 1
	default:
		return 0
	}
}

func size(c models.CheckResult) int {
	encoded, err := json.Marshal(c)
	if err != nil {
		return maxBrief + 1 // what can't be written does not travel
	}
	return len(encoded)
}
