package canary

import "github.com/mainspring-ml/mainspring/models"

// Evidence is what one look at a step brought.
type Evidence struct {
	Champion models.ArmCounts     // totals of the step so far
	Canary   models.ArmCounts     // totals of the step so far
	Blocks   []models.CanaryBlock // new ones of the step, oldest first
	Losses   []models.LossBlock   // new ones of the rollout, oldest first
}
