package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// snapshotOfRun is the snapshot that an MLflow run's inputs name.
func (l *lineage) snapshotOfRun(ctx context.Context, runID string) string {
	if l.tracking == nil || runID == "" {
		return ""
	}
	run, err := l.tracking.GetRun(ctx, runID)
	l.lost(err)
	if digest := run.Tags[snapshotTag]; digest != "" {
		return digest
	}
	for _, d := range run.Datasets {
		if found, err := l.snapshotsLike(ctx, d.Digest); err == nil && len(found) == 1 {
			return found[0]
		}
	}
	return ""
}

// run adds an MLflow run.
func (l *lineage) run(ctx context.Context, runID string) string {
	id := string(models.NodeRun) + ":" + runID
	if _, known := l.nodes[id]; known {
		return id
	}
	id = l.node(models.NodeRun, runID, models.LineageNode{})
	if l.tracking == nil {
		return id
	}
	run, err := l.tracking.GetRun(ctx, runID)
	l.lost(err)
	if errors.Is(err, mlflow.ErrNotFound) {
		l.node(models.NodeRun, runID, models.LineageNode{Facts: []models.LineageFact{{Name: "status", Value: "MLflow does not have it"}}})
	}
	if err == nil {
		l.knownRun(run)
	}
	return id
}

// knownRun adds what MLflow has said of a run; by now it may have become silent.
func (l *lineage) knownRun(run mlflow.Run) string {
	url := ""
	if l.tracking != nil {
		url = l.tracking.RunURL(run.ExperimentID, run.ID)
	}
	facts := []models.LineageFact{
		{Name: "name", Value: run.Name}, {Name: "status", Value: strings.ToLower(string(run.Status))},
		{Name: "gate", Value: joined(run.Tags[gateTag], run.Tags[gateReasonTag])},
		{Name: "failure", Value: run.Tags["mainspring.failure"]},
	}
	return l.node(models.NodeRun, run.ID, models.LineageNode{At: run.Start, URL: url, Facts: facts})
}

// runsOf are MLflow's runs whose inputs name a snapshot.
func (l *lineage) runsOf(ctx context.Context, digest string) error {
	if l.tracking == nil {
		return nil
	}
	found, err := runsWhere(ctx, l.tracking, fmt.Sprintf("dataset.digest = '%s'", mlflow.DatasetDigest(digest)))
	l.lost(err)
	for _, run := range found {
		id := l.knownRun(run)
		snapshot := string(models.NodeSnapshot) + ":" + digest
		if lifecycle := run.Tags[lifecycleTag]; lifecycle != "" {
			made := l.lifecycle(lifecycle)
			l.edge(snapshot, made, "used by")
			l.edge(made, id, "trained as")
		} else {
			l.edge(snapshot, id, "input of")
		}
	}
	return nil
}
