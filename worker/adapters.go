package worker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/openlineage"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/internal/stores"
)

// adapters are the activities of the shared queue.
type adapters struct {
	preparation *activities.Prepare
	tracking    *activities.Tracking
	checkpoints *activities.Checkpoints
	scoring     *activities.Scoring
	registry    *activities.Registry
	routing     *activities.Routing
	blocks      *activities.Blocks
	drift       *activities.Drift
	losses      *activities.Losses
	entities    *activities.Entities
	audit       *activities.Audit
	signing     *activities.Signing
	retrainings *activities.Retrainings
	lineage     *activities.Lineage
}

// newAdapters reads from the environment where S3 and MLflow are. Neither is
// contacted for good: activities wait for them, and what waits is visible.
func newAdapters(ctx context.Context, c client.Client) (*adapters, error) {
	store, err := stores.Open(os.Getenv)
	if err != nil {
		return nil, fmt.Errorf("artifact store: %w", err)
	}
	tracking, err := mlflow.New(mlflow.ConfigFromEnv(os.Getenv))
	if err != nil {
		return nil, fmt.Errorf("tracking server: %w", err)
	}
	asks, err := asksAtOnce(os.Getenv(asksVariable))
	if err != nil {
		return nil, err
	}
	told := openlineage.ConfigFromEnv(os.Getenv)
	events, err := openlineage.Open(told)
	if err != nil {
		return nil, err
	}
	page := workflowPage(os.Getenv("MAINSPRING_TEMPORAL_UI"))
	warn(ctx, "MLflow", tracking.Ping)
	warn(ctx, "S3", store.EnsureBucket)
	return &adapters{
		preparation: &activities.Prepare{Store: store, Getenv: os.Getenv},
		tracking:    &activities.Tracking{MLflow: tracking, Store: store, WorkflowPage: page},
		checkpoints: &activities.Checkpoints{Store: store},
		scoring: &activities.Scoring{Store: store, Models: &activities.ServingModels{
			Store: store, Runtime: sync.OnceValues(func() (*serving.Runtime, error) { return serving.OpenRuntime(serving.RuntimeConfig{}) }),
		}},
		registry: &activities.Registry{
			MLflow: tracking, NamespaceID: namespaceID(c), WorkflowPage: page,
		},
		routing:     &activities.Routing{Store: store},
		blocks:      &activities.Blocks{Store: store},
		drift:       &activities.Drift{Store: store},
		losses:      &activities.Losses{Store: store},
		entities:    &activities.Entities{Temporal: c, AsksAtOnce: asks},
		audit:       &activities.Audit{Store: store},
		signing:     &activities.Signing{Store: store, Key: signingKey(ctx, os.Getenv), Version: ownVersion()},
		retrainings: &activities.Retrainings{Store: store, Schedules: c.ScheduleClient(), WorkflowPage: page, Getenv: os.Getenv},
		lineage: &activities.Lineage{Store: store, Transport: events, Producer: openlineage.Producer{
			Version: ownVersion(), Namespace: told.Namespace,
		}},
	}, nil
}

// asksVariable is set where Temporal's history.maxInFlightUpdates is above its
// default.
const asksVariable = "MAINSPRING_POOL_ASKS"

func asksAtOnce(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is %q: it must be a positive number", asksVariable, text)
	}
	return n, nil
}

// warn says at the start what does not answer yet.
func warn(ctx context.Context, what string, ping func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := ping(ctx); err != nil {
		slog.Warn(what+" does not answer; activities wait for it", "error", err)
	}
}
