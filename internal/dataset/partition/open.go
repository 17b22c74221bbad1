package partition

import (
	"context"
	"errors"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

func open(context.Context, artifact.Store, models.DataSpec, models.Partition) (Reader, error) {
	return nil, errors.New("not read yet")
}
