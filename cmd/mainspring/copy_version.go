package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// findVersion asks the model's steward and, where nobody answers or it does not
// keep the version any more, MLflow.
func findVersion(ctx context.Context, stack devstack.Access, model, name string) (models.ModelVersion, error) {
	version, stewards := stewardVersion(ctx, stack, model, name)
	if stewards == nil || ctx.Err() != nil {
		return version, stewards
	}
	tracking, err := openTracking(stack)
	if err != nil {
		return version, stewards // MLflow is nowhere: it is no help
	}
	registered, err := registeredVersion(ctx, tracking, model, name)
	if err != nil {
		return version, fmt.Errorf("%w\nMLflow: %w", stewards, err)
	}
	return registered, nil
}

func stewardVersion(ctx context.Context, stack devstack.Access, model, name string) (version models.ModelVersion, err error) {
	connection, err := dial(ctx, stack)
	if err != nil {
		return version, err
	}
	defer connection.Close()
	return connection.Version(ctx, model, name)
}

// registeredVersion is what MLflow knows of a version, by number or alias.
func registeredVersion(ctx context.Context, tracking *mlflow.Client, model, name string) (models.ModelVersion, error) {
	find := tracking.VersionByAlias
	if _, err := strconv.Atoi(name); err == nil {
		find = tracking.GetModelVersion
	}
	found, err := find(ctx, model, name)
	if err != nil {
		return models.ModelVersion{}, err
	}
	tag := func(name string) string { return found.Tags["mainspring."+name] }
	if tag("model_sha256") == "" {
		return models.ModelVersion{}, errors.New("version " + found.Version + " of " + model + " was not registered by Mainspring: its files have no manifest. Copy them by their URI: " + found.Source)
	}
	return models.ModelVersion{
		Version: found.Version, RegisteredAt: found.Created,
		Candidate: models.Candidate{
			Lifecycle: tag("lifecycle"), LifecycleRun: tag("lifecycle_run"), RunID: found.RunID, Snapshot: tag("snapshot_sha256"),
			CodeSHA256: tag("code_sha256"), SpecSHA256: tag("spec_sha256"),
			Artifact: models.ModelArtifact{Source: found.Source, Manifest: models.Ref{URI: artifact.TreeKey(found.Source), SHA256: tag("model_sha256")}},
		},
	}, nil
}
