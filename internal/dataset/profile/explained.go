package profile

import "github.com/mainspring-ml/mainspring/models"

// Explained is the share of the label's entropy (of its variance, for task
// regression) that the feature explains, 0 to 1, less what as many cells of pure
// chance would. It is false where there is nothing to learn from: no rows, one
// label, or a crowded feature.
func (a Association) Explained(task models.Task) (float64, bool) { return 0, false }
