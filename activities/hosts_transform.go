package activities

import (
	"context"

	"github.com/mainspring-ml/mainspring/models"
)

// TransformOnHost implements models.Hosts.
func (h *Hosts) TransformOnHost(context.Context, models.TransformRequest) (models.TransformResult, error) {
	return models.TransformResult{}, &models.Error{Kind: models.KindInvalidSpec, Subject: "data.prepare", Message: "this agent runs no preparing programs"}
}
