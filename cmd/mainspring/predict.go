package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// predictFlags are the flags of mainspring predict.
type predictFlags struct {
	request  string
	modelDir string
	paths    activities.Paths
}

// newPredictCommand is what an agent starts to predict held-out rows with the
// built-in runtime; nobody types it.
func newPredictCommand() *cobra.Command {
	var f predictFlags
	cmd := &cobra.Command{
		Use:    "predict --request FILE --model-dir DIR --data-dir DIR --out FILE",
		Short:  "Predict the held-out rows of a snapshot with one model",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			return predict(ctx, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.request, "request", "", "file with the request as JSON")
	flags.StringVar(&f.modelDir, "model-dir", "", "directory with an MLmodel file that has an onnx flavour")
	flags.StringVar(&f.paths.Data, "data-dir", "", "directory with the snapshot's manifest.json and test")
	flags.StringVar(&f.paths.Out, "out", "", "Parquet file to write the predictions to")
	flags.StringVar(&f.paths.Latency, "latency", "", "JSON file to write the latency of single rows to")
	flags.StringVar(&f.paths.Failure, "failure", "", "JSON file to write the reason to when there are no predictions")
	for _, name := range []string{"request", "model-dir", "data-dir", "out", "latency", "failure"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

func predict(ctx context.Context, f predictFlags) error {
	text, err := os.ReadFile(f.request)
	if err != nil {
		return err
	}
	var request models.PredictRowsRequest
	if err := json.Unmarshal(text, &request); err != nil {
		return fmt.Errorf("read the request %s: %w", f.request, err)
	}
	return activities.PredictFiles(ctx, request, directory(f.modelDir), f.paths)
}

// directory is a model that has been fetched already.
type directory string

// LoadModel implements activities.ModelLoader.
func (d directory) LoadModel(context.Context, models.ModelArtifact) (activities.Predictor, error) {
	runtime, err := serving.OpenRuntime(serving.RuntimeConfig{})
	if err != nil {
		return nil, err
	}
	model, err := runtime.Load(string(d))
	if err != nil {
		return nil, errors.Join(err, runtime.Close())
	}
	return loadedModel{model, runtime}, nil
}

// loadedModel takes the process's runtime along when it is closed.
type loadedModel struct {
	*serving.Model
	runtime *serving.Runtime
}

// Close implements activities.Predictor.
func (m loadedModel) Close() error { return errors.Join(m.Model.Close(), m.runtime.Close()) }
