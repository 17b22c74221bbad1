package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// A new level is known by its own blocks: with those of before among them, each
// of its days would be a rise.
func TestANewLevelBeginsAtTheChange(t *testing.T) {
	first := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		changed int // block
		want    []float64
	}{
		{"as many as changed", 13, []float64{1, 1, 1, 1, 1, 1, 1}},
		{"a few at least", 18, []float64{1, 1, 1, 1, 1}},
		{"no more than reference_blocks", 2, []float64{0.4, 1, 1, 1, 1, 1, 1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			state := models.MonitorState{
				Watch:     &models.WatchRequest{Version: "1", Spec: models.MonitorSpec{ReferenceBlocks: 8}.WithDefaults()},
				Reference: &models.MonitorReference{},
			}
			for n := range 20 {
				loss := 0.4
				if n >= 13 {
					loss = 1
				}
				start := first.AddDate(0, 0, n)
				state.Blocks = append(state.Blocks, models.Block{Start: start, End: start.AddDate(0, 0, 1), Version: "1", Conclusive: true, Labelled: 40, Loss: loss, Final: true})
			}
			j := newJudge(state)
			j.rebase(first.AddDate(0, 0, c.changed), "because of the test")
			losses := []float64{}
			for _, b := range j.state.Reference.Blocks {
				losses = append(losses, b.Loss)
			}
			require.Equal(t, c.want, losses)
		})
	}
}
