package activities

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// PredictOnHost implements models.Hosts. The steps can be interrupted anywhere:
//
//  1. What the program needs is fetched into caches and the job's directory.
//  2. The runner starts the job; from here on an attempt finds it and attaches.
//  3. The answers are checked and stored, then the result is written beside them.
//     Only after that are local files removed: an attempt whose answer did not
//     arrive is followed by one that finds the result.
//
// A job that failed stays failed: whoever wants another try names another key or
// lease.
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
	if result, found, err := earlierResult[models.Predictions](p.path(resultFile)); err != nil || found {
		return result, err
	}
	handle, err := p.start(ctx)
	if err != nil {
		if cancelRequested(ctx) {
			return models.Predictions{}, temporal.NewCanceledError()
		}
		return models.Predictions{}, h.stuck(err)
	}
	state, err := p.follow(ctx, handle)
	if err != nil {
		return models.Predictions{}, h.stuck(err)
	}
	p.storeLog(ctx)
	if cancelRequested(ctx) {
		return models.Predictions{}, temporal.NewCanceledError()
	}
	if failed := p.ending(state); failed != nil {
		return models.Predictions{}, p.masked(failed)
	}
	return p.conclude(ctx, handle, state)
}

// hostPrediction is one model's turn at the held-out rows, in a process of its
// own.
type hostPrediction struct {
	h    *Hosts
	req  models.PredictRowsRequest
	form form
	key  string
	dir  string // the job's
	data string // directory with the held-out rows, once they are fetched

	phase atomic.Pointer[phase]
}

// phase is what is being done, for people, and its number.
type phase struct {
	text   string
	number int
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
	p := &hostPrediction{h: h, req: req, form: formOf(req), key: key, dir: h.Runner.Dir(key)}
	p.enter("waiting")
	return p, nil
}

func (p *hostPrediction) path(name string) string { return filepath.Join(p.dir, name) }

// enter says what is being done now.
func (p *hostPrediction) enter(what string) {
	next := &phase{text: p.req.Who + ": " + what}
	if before := p.phase.Load(); before != nil {
		next.number = before.number + 1
	}
	p.phase.Store(next)
}

// read is what the heartbeat tells.
func (p *hostPrediction) read() (string, int) {
	now := p.phase.Load()
	return now.text, now.number
}

// start starts the job, or attaches to it.
func (p *hostPrediction) start(ctx context.Context) (*runner.Handle, error) {
	handle, found, err := p.h.Runner.Attach(p.key)
	if err != nil {
		return nil, err
	}
	if found {
		return handle, handle.Touch()
	}
	job, err := p.prepare(ctx)
	if err != nil {
		return nil, err
	}
	handle, _, err = p.h.Runner.Start(ctx, job)
	return handle, err
}

const (
	predictGrace = 10 * time.Second

	reasonPredictCancelled = "the prediction was cancelled"
	reasonPredictTimeout   = "the prediction took longer than evaluate.predict.timeout"
)

func (p *hostPrediction) timeout() time.Duration {
	return p.req.Predict.WithDefaults().Timeout.Std()
}

// follow waits for the program, for as long as the spec allows.
func (p *hostPrediction) follow(ctx context.Context, handle *runner.Handle) (runner.State, error) {
	p.enter("predicting")
	return p.h.awaitJob(ctx, handle, reasonPredictCancelled, func(runner.State) string {
		if time.Since(handle.Began()) > p.timeout() {
			return reasonPredictTimeout
		}
		return ""
	})
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
	if err := keepResult(p.path(resultFile), result); err != nil {
		return models.Predictions{}, err
	}
	for _, name := range []string{codeDir, workDir, modelDir, rowsDir, predictionsFile, answersFile} {
		if err := runner.Remove(p.path(name)); err != nil {
			slog.Warn("left over", "path", p.path(name), "error", err)
		}
	}
	return result, nil
}

// storeLog puts the program's log among the run's artifacts. A log that can't be
// stored is no reason to fail.
func (p *hostPrediction) storeLog(ctx context.Context) {
	if p.req.ArtifactURI == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLogsLimit)
	defer cancel()
	ships := &logShipper{store: p.h.Store, mask: p.h.maskerOf(p.req.Train.Env), head: headKept, tail: tailKept}
	// Named by the model too: champion and candidate may be predicted in one run.
	name := fmt.Sprintf("predict-%s.log", p.req.Artifact.Manifest.SHA256[:8])
	uri := artifactPath(p.req.ArtifactURI, "logs/"+name)
	log := &shippedLog{path: logPath(p.dir, predictorName)}
	if err := ships.storeWhole(ctx, log, uri, p.path(predictorName+".masked")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		slog.Warn("log not stored", "job", p.key, "to", uri, "error", err)
	}
}
