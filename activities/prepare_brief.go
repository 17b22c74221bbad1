package activities

import (
	"encoding/json"

	"github.com/mainspring-ml/mainspring/internal/dataset/checks"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// maxBrief bounds the bytes of the checks that travel with a snapshot: it has
	// its columns as well, and a payload has 32 KiB.
	maxBrief = 10 << 10
	// maxBriefText bounds one message: all of them fit.
	maxBriefText = 240
)

// briefChecks are the checks that travel, see checks.Brief. Of the offending rows
// go along those of the first checks, as long as there is room.
func briefChecks(all []models.CheckResult) []models.CheckResult {
	brief := checks.Brief(all)
	room := maxBrief
	for i := range brief {
		brief[i].Message = shortened(brief[i].Message, maxBriefText)
		room -= sizeOf(brief[i]) - sizeOf(brief[i].Rows)
	}
	for i := range brief {
		if size := sizeOf(brief[i].Rows); size <= room {
			room -= size
		} else {
			brief[i].Rows = nil
		}
	}
	return brief
}

func sizeOf(content any) int {
	encoded, err := json.Marshal(content)
	if err != nil {
		return maxBrief + 1 // what can't be written does not travel
	}
	return len(encoded)
}
