package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// Tracking is the part of MLflow that is asked who needs a snapshot and where it
// came from.
type Tracking interface {
	SearchModelVersions(ctx context.Context, filter string) ([]mlflow.ModelVersion, error)
	GetRegisteredModel(ctx context.Context, name string) (mlflow.RegisteredModel, error)
	SearchExperiments(ctx context.Context) ([]mlflow.Experiment, error)
	SearchRuns(ctx context.Context, request mlflow.SearchRunsRequest) ([]mlflow.Run, error)
	GetRun(ctx context.Context, runID string) (mlflow.Run, error)
	RunURL(experimentID, runID string) string
	ModelVersionURL(model, version string) string
}

var _ Tracking = (*mlflow.Client)(nil)

// SnapshotNeeds asks MLflow and Temporal who needs which snapshots, whatever
// their retention: model versions that are not deleted, runs of MLflow and
// workflows that have not ended. Whoever does not answer is an error: nobody may
// conclude from it that nothing is needed.
func (c *Client) SnapshotNeeds(ctx context.Context, tracking Tracking, items []snapshots.Item) (snapshots.Needs, error) {
	n := &needs{client: c, tracking: tracking, items: items, byDigest: map[string]string{},
		found: snapshots.Needs{Keepers: map[string][]snapshots.Keeper{}, Preparations: map[string]bool{}}}
	for _, item := range items {
		n.byDigest[mlflow.DatasetDigest(item.Snapshot)] = item.Snapshot
	}
	// What a workflow needs it hands to its model's steward, and the steward to
	// MLflow; a run may become a version. They are asked in that order, so that
	// nothing which is handed on meanwhile slips between two questions.
	for _, ask := range []struct {
		whom string
		do   func(context.Context) error
	}{
		{"the workflows that use snapshots", n.users},
		{"the trainings that run", n.trainings},
		{"the preparations that run", n.preparations},
		{"the models' stewards", n.stewards},
		{"MLflow's runs", n.runs},
		{"MLflow's model versions", n.versions},
		{"MLflow's models", n.stewarded},
	} {
		if err := ask.do(ctx); err != nil {
			return snapshots.Needs{}, fmt.Errorf("%s: %w", ask.whom, err)
		}
	}
	for digest, keepers := range n.found.Keepers {
		slices.SortFunc(keepers, func(a, b snapshots.Keeper) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
		})
		n.found.Keepers[digest] = slices.Compact(keepers)
	}
	return n.found, nil
}

// needs is a question to everybody who could need a snapshot.
type needs struct {
	client   *Client
	tracking Tracking
	items    []snapshots.Item
	byDigest map[string]string // snapshot, by the digest that MLflow has
	// registered are the versions that MLflow has.
	registered map[string]bool
	mu         sync.Mutex
	states     []models.StewardState // of the stewards
	found      snapshots.Needs
}

// keep notes a keeper; a snapshot that is not there needs none.
func (n *needs) keep(snapshot string, kind snapshots.KeeperKind, name string) {
	if n.byDigest[mlflow.DatasetDigest(snapshot)] != snapshot || snapshot == "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.found.Keepers[snapshot] = append(n.found.Keepers[snapshot], snapshots.Keeper{Kind: kind, Name: name})
}

// questionsAtOnce bounds how many questions of one kind are under way.
const questionsAtOnce = 16

func many[T any](ctx context.Context, all []T, ask func(context.Context, T) error) error {
	group, inGroup := errgroup.WithContext(ctx)
	group.SetLimit(questionsAtOnce)
	for _, one := range all {
		group.Go(func() error { return ask(inGroup, one) })
	}
	return group.Wait()
}

// What versions and runs say of their snapshot and who made them.
const (
	snapshotTag   = "mainspring.snapshot_sha256"
	lifecycleTag  = "mainspring.lifecycle"
	gateTag       = "mainspring.gate"
	gateReasonTag = "mainspring.gate_reason"
)

func versionName(model, version string) string { return model + "/" + version }

// versions are all that are registered, whoever did: those of another Temporal
// namespace, and those that a person registered from a run.
func (n *needs) versions(ctx context.Context) error {
	all, err := n.tracking.SearchModelVersions(ctx, "")
	if err != nil {
		return err
	}
	n.registered = make(map[string]bool, len(all))
	for _, v := range all {
		n.registered[versionName(v.Model, v.Version)] = true
	}
	return many(ctx, all, func(ctx context.Context, v mlflow.ModelVersion) error {
		name := versionName(v.Model, v.Version)
		n.keep(v.Tags[snapshotTag], snapshots.KeptByVersion, name)
		if v.Tags[snapshotTag] != "" || v.RunID == "" {
			return nil
		}
		run, err := n.tracking.GetRun(ctx, v.RunID)
		if errors.Is(err, mlflow.ErrNotFound) {
			return nil
		}
		n.keepOfRun(run, snapshots.KeptByVersion, name)
		return err
	})
}

func (n *needs) keepOfRun(run mlflow.Run, kind snapshots.KeeperKind, name string) {
	n.keep(run.Tags[snapshotTag], kind, name)
	for _, d := range run.Datasets {
		n.keep(n.byDigest[d.Digest], kind, name)
	}
}

// experimentsAtOnce bounds the experiments that one search names.
const experimentsAtOnce = 100

// runs are those that have not ended.
func (n *needs) runs(ctx context.Context) error {
	// In the order in which a run passes through them: none slips between two looks.
	for _, status := range []mlflow.RunStatus{mlflow.RunScheduled, mlflow.RunRunning} {
		found, err := runsWhere(ctx, n.tracking, fmt.Sprintf("attributes.status = '%s'", status))
		if err != nil {
			return err
		}
		for _, run := range found {
			n.keepOfRun(run, snapshots.KeptByRun, "MLflow's run "+cmp.Or(run.Name, run.ID))
		}
	}
	return nil
}

// runsWhere are the runs of all experiments that a filter finds; with an error,
// those found so far.
func runsWhere(ctx context.Context, tracking Tracking, filter string) (found []mlflow.Run, err error) {
	experiments, err := tracking.SearchExperiments(ctx)
	if err != nil {
		return nil, err
	}
	for some := range slices.Chunk(experiments, experimentsAtOnce) {
		request := mlflow.SearchRunsRequest{Filter: filter}
		for _, e := range some {
			request.ExperimentIDs = append(request.ExperimentIDs, e.ID)
		}
		runs, err := tracking.SearchRuns(ctx, request)
		if err != nil {
			return found, err
		}
		found = append(found, runs...)
	}
	return found, nil
}

// stewards know the versions that they have registered, and those that they are
// about to; of the former, MLflow is asked.
func (n *needs) stewards(ctx context.Context) error {
	found, err := n.client.running(ctx, models.ModelStewardWorkflow)
	if err != nil {
		return err
	}
	return many(ctx, found, func(ctx context.Context, id string) error {
		var status models.StewardStatus
		if err := n.client.query(ctx, id, &status); err != nil {
			return err
		}
		n.mu.Lock()
		n.states = append(n.states, status.StewardState)
		n.mu.Unlock()
		tasks := status.Queue
		if status.Current != nil {
			tasks = append(tasks, *status.Current)
		}
		for _, task := range tasks {
			if task.Register != nil {
				n.keep(task.Register.Candidate.Snapshot, snapshots.KeptByVersion, status.Model+", to be registered")
			}
		}
		return nil
	})
}

// stewarded are the versions that stewards have registered, if they are still
// there.
func (n *needs) stewarded(ctx context.Context) error {
	return many(ctx, n.states, func(ctx context.Context, state models.StewardState) error {
		for _, v := range state.Versions {
			gone, err := n.gone(ctx, state, v)
			if err != nil {
				return err
			}
			if !gone {
				n.keep(v.Candidate.Snapshot, snapshots.KeptByVersion, versionName(state.Model, v.Version))
			}
		}
		return nil
	})
}

// gone reports whether a steward's version does not exist any more. A steward
// looks only after those that an alias names, so MLflow is believed as well, if
// it is the one that the steward writes to.
func (n *needs) gone(ctx context.Context, state models.StewardState, v models.ModelVersion) (bool, error) {
	if v.Deleted || n.registered[versionName(state.Model, v.Version)] {
		return v.Deleted, nil
	}
	model, err := n.tracking.GetRegisteredModel(ctx, state.Model)
	if errors.Is(err, mlflow.ErrNotFound) {
		return false, nil // another MLflow, or the steward will say so when it looks
	}
	return err == nil && state.Owner != "" && model.Owner() == state.Owner, err
}
