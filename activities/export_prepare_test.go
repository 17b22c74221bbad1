package activities

import "github.com/mainspring-ml/mainspring/models"

// Divide is divide, for tests from outside.
func Divide(partitions []models.Partition) []models.PartitionTask { return divide(partitions) }

// BriefChecks is briefChecks, for tests from outside.
func BriefChecks(all []models.CheckResult) []models.CheckResult { return briefChecks(all) }
