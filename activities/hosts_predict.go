package activities

import (
	"context"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// PredictOnHost implements models.Hosts.
func (h *Hosts) PredictOnHost(ctx context.Context, req models.PredictRowsRequest) (models.Predictions, error) {
	p, err := newHostPrediction(h, req)
	if err != nil {
		return models.Predictions{}, err
	}
	defer pulse(ctx, p.read)()
	release, err := h.claims.take(ctx, p.key)
	if err != nil {
		return models.Predictions{}, err
	}
	defer release()
	return carryOut(ctx, p.errand, errandSteps[models.Predictions]{
		prepare: p.prepare, conclude: p.conclude,
		leaves: []string{codeDir, workDir, modelDir, rowsDir, predictionsFile, answersFile},
	})
}

// hostPrediction is one model's turn at the held-out rows, in a process of its
// own.
type hostPrediction struct {
	*errand
	req  models.PredictRowsRequest
	form form
	data string // directory with the held-out rows, once they are fetched
}

// Names in the job's directory beside those of a training.
const (
	predictorName   = "predict"
	predictionsFile = "predictions.parquet"
	latencyFile     = "latency.json"
	failureFile     = "failure.json"
	requestFile     = "request.json"
)

func newHostPrediction(h *Hosts, req models.PredictRowsRequest) (*hostPrediction, error) {
	if req.Key == "" || len(req.Artifact.Manifest.SHA256) < 8 {
		return nil, &models.Error{Kind: models.KindInvalidSpec, Subject: req.Who, Message: "a prediction on a host needs a key and a model"}
	}
	if req.Token == 0 { // without a lease nothing of the host is the job's alone
		req.Node = models.LeaseNode{Node: req.Node.Node}
	}
	key := fmt.Sprintf("predict-%s-%s-%d", req.Key, req.Artifact.Manifest.SHA256[:8], req.Token)
	p := &hostPrediction{req: req, form: formOf(req), errand: &errand{
		phases: &phases{who: req.Who}, h: h, key: key, dir: h.Runner.Dir(key), process: predictorName,
		words: errandWords{noun: "prediction", section: "evaluate.predict", code: "train.code", lighter: "predict in smaller batches"},
		argv:  req.Predict.Command, env: req.Train.Env, timeout: req.Predict.WithDefaults().Timeout.Std(),
		fault: func(message, hint string) *models.Error { return rejectAnswers(req, message, hint, nil) },
	}}
	if len(p.argv) == 0 {
		p.argv = []string{"the " + string(runtimeOf(req.Predict)) + " runtime"}
	}
	if req.ArtifactURI != "" { // named by the model too: champion and candidate may be predicted in one run
		p.log = artifactPath(req.ArtifactURI, fmt.Sprintf("logs/predict-%s.log", req.Artifact.Manifest.SHA256[:8]))
	}
	p.enter("waiting")
	return p, nil
}

// conclude checks and stores what the program has left.
func (p *hostPrediction) conclude(ctx context.Context, handle *runner.Handle, state runner.State) (models.Predictions, error) {
	p.enter("storing predictions")
	var err error
	if p.data, err = p.h.cache().heldOut(ctx, p.req.Snapshot); err != nil { // an attempt that attached does not know where
		return models.Predictions{}, err
	}
	keys, given, err := p.answers(ctx)
	if err != nil {
		return models.Predictions{}, err
	}
	if given.seconds == 0 {
		given.seconds = ended(state).Sub(handle.Began()).Seconds()
	}
	result, err := storeAnswers(ctx, p.h.Store, keys, p.form, given)
	if err != nil {
		return models.Predictions{}, err
	}
	result.Node = p.h.Node
	for _, device := range p.req.Node.Devices {
		result.Devices = append(result.Devices, device.UUID)
	}
	return result, nil
}
