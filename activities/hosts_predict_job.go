package activities

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// artifactPath is the URI of a file below a run's artifacts.
func artifactPath(root, name string) string { return strings.TrimSuffix(root, "/") + "/" + name }

// prepare fetches what the program needs and says how to run it.
func (p *hostPrediction) prepare(ctx context.Context) (runner.Job, error) {
	p.enter("fetching data and model")
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return runner.Job{}, err
	}
	for _, left := range []string{predictionsFile, answersFile, latencyFile, failureFile} { // of a start that was interrupted
		if err := runner.Remove(p.path(left)); err != nil {
			return runner.Job{}, err
		}
	}
	var err error
	if p.data, err = p.h.cache().heldOut(ctx, p.req.Snapshot); err != nil {
		return runner.Job{}, err
	}
	var runs program
	switch runtime := runtimeOf(p.req.Predict); runtime {
	case models.RuntimeONNX:
		runs, err = p.builtIn(ctx)
	case models.RuntimePyfunc:
		runs, err = p.pyfunc(ctx)
	case models.RuntimeCommand:
		runs, err = p.command(ctx)
	default:
		err = &models.Error{Kind: models.KindInvalidSpec, Subject: "evaluate.predict.runtime", Message: "there is no runtime " + strconv.Quote(string(runtime))}
	}
	if err != nil {
		return runner.Job{}, err
	}
	runs.env.set(accel.Visibility(p.req.Node.Devices)...)
	return p.job(runs, p.req.Token, p.req.Node), nil
}

// builtIn runs the engine's own runtime.
func (p *hostPrediction) builtIn(ctx context.Context) (program, error) {
	model, err := p.h.cache().model(ctx, p.req.Artifact.Manifest)
	if err != nil {
		return program{}, err
	}
	if err := writeJSON(p.path(requestFile), p.req); err != nil {
		return program{}, err
	}
	env := p.h.baseEnvironment()
	for _, variable := range p.h.Environ {
		if strings.HasPrefix(variable, serving.LibraryVariable+"=") || strings.HasPrefix(variable, "OTEL_") {
			env.set(variable)
		}
	}
	argv := append(slices.Clone(p.h.Predictor),
		"--request", p.path(requestFile), "--model-dir", model, "--data-dir", p.data,
		"--out", p.path(predictionsFile), "--latency", p.path(latencyFile), "--failure", p.path(failureFile))
	return program{argv: argv, dir: p.dir, env: env}, nil
}

// command runs the spec's own program.
func (p *hostPrediction) command(ctx context.Context) (program, error) {
	if len(p.req.Predict.Command) == 0 {
		return program{}, &models.Error{
			Kind: models.KindInvalidSpec, Subject: "evaluate.predict.command", Message: "is missing", Hint: "name the program that predicts, or another evaluate.predict.runtime",
		}
	}
	runs := program{argv: slices.Clone(p.req.Predict.Command)}
	return runs, p.ownProgram(ctx, &runs)
}

// ownProgram gives a program the training's code, environment and variables, and
// a copy of the model that it can't spoil for others.
func (p *hostPrediction) ownProgram(ctx context.Context, runs *program) error {
	train := p.req.Train
	if err := artifact.GetTree(ctx, p.h.Store, p.req.Artifact.Manifest, p.path(modelDir)); err != nil {
		return unavailable(p.req.Artifact.Manifest.URI, "the model can't be fetched", err)
	}
	params, err := paramsJSON("train", train.Params)
	if err != nil {
		return err
	}
	log := &buildLog{ctx: ctx, store: p.h.Store, unlessReused: true, stop: func() {}}
	if p.req.ArtifactURI != "" {
		log.uri = artifactPath(p.req.ArtifactURI, "logs/environment-"+p.h.Node+".log")
	}
	err = p.h.ownProgram(ctx, runs, ownership{
		section: "train", dir: p.dir, code: train.Code, environment: train.Environment, env: train.Env,
		cores: wholeCores(p.req.Node), log: log, building: func() { p.enter(phaseEnvironment) },
	})
	if err != nil {
		return err
	}
	runs.env.set(
		"MAINSPRING_MODEL_DIR="+p.path(modelDir),
		"MAINSPRING_DATA_DIR="+p.data,
		"MAINSPRING_PARAMS="+params,
		"MAINSPRING_WORK_DIR="+p.path(workDir),
		"MAINSPRING_PREDICTIONS="+p.path(predictionsFile),
		"MAINSPRING_LATENCY="+p.path(latencyFile),
		"MLFLOW_RUN_ID="+p.req.RunID,
	)
	return nil
}
