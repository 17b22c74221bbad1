package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// transform returns what the preparing program makes of the partitions.
func (p *preparation) transform(_ workflow.Context, list models.PartitionList) (models.PartitionList, error) {
	return list, nil
}
