package activities

import (
	"context"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// Scoring predicts held-out rows with the serving runtime and scores the
// answers.
type Scoring struct {
	Store  artifact.Store
	Models ModelLoader
}

var _ models.Scoring = (*Scoring)(nil)

// PredictRows implements models.Scoring. The file is content-addressed, so
// doing it again changes nothing but the latency.
func (s *Scoring) PredictRows(ctx context.Context, req models.PredictRowsRequest) (models.Predictions, error) {
	if runtime := runtimeOf(req.Predict); runtime != models.RuntimeONNX {
		return models.Predictions{}, &models.Error{
			Kind: models.KindInvalidSpec, Subject: "evaluate.predict.runtime",
			Message: fmt.Sprintf("a worker predicts with %s only; %s runs on a host", models.RuntimeONNX, runtime),
			Hint:    "start an agent in the pool",
		}
	}
	defer pulse(ctx, busy(req.Who+": predicting"))() // one batch of a slow model takes minutes
	p := newPrediction(req)
	if err := p.checkPorts(); err != nil {
		return models.Predictions{}, err
	}
	table, err := readSide(ctx, s.Store, req.Snapshot, side{dataset.TestDir, p.columns()})
	if err != nil {
		return models.Predictions{}, err
	}
	if table.Rows() == 0 {
		return models.Predictions{}, noHeldOutRows(req.Snapshot)
	}
	result, err := p.answer(ctx, s.Models, table)
	if err != nil {
		return models.Predictions{}, err
	}
	return storeAnswers(ctx, s.Store, *table.Column(req.Data.Key), p.form, result)
}

func runtimeOf(predict models.PredictSpec) models.Runtime { return predict.WithDefaults().Runtime }

// columns are the columns that the prediction reads: the key, and what the model
// is fed.
func (p prediction) columns() []string {
	names := []string{p.Data.Key}
	for _, input := range p.Artifact.Inputs {
		names = append(names, input.Name)
	}
	return names
}

func noHeldOutRows(snapshot models.Ref) error {
	return &models.Error{
		Kind: models.KindNoRows, Subject: snapshot.URI, Message: "the snapshot has no held-out rows",
		Hint: "prepare the data again with a longer data.holdout",
	}
}

const whoCandidate = "candidate"

func whoChampion(champion *models.ChampionModel) string {
	return "champion (version " + champion.Version + ")"
}
