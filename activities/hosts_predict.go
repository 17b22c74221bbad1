package activities

import (
	"context"
	"errors"

	"github.com/mainspring-ml/mainspring/models"
)

// PredictOnHost implements models.Hosts.
func (h *Hosts) PredictOnHost(context.Context, models.PredictRowsRequest) (models.Predictions, error) {
	return models.Predictions{}, errors.New("no predictions on hosts yet")
}
