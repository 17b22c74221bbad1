package activities

import (
	"context"
	"errors"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Audit archives the records of stewards in the artifact store.
type Audit struct {
	Store artifact.Store
}

var _ models.Audit = (*Audit)(nil)

// ArchiveRecords implements models.Audit.
func (a *Audit) ArchiveRecords(context.Context, models.ArchiveRecordsRequest) (models.AuditSegment, error) {
	return models.AuditSegment{}, errors.New("no archive yet")
}
