package activities

import (
	"context"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Signing signs models with the worker's key.
type Signing struct {
	Store artifact.Store
}

var _ models.Signing = (*Signing)(nil)

// SignModel implements models.Signing.
func (s *Signing) SignModel(context.Context, models.SignModelRequest) (models.SignModelResult, error) {
	return models.SignModelResult{Unsigned: "no key is configured"}, nil
}
