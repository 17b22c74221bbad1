package activities

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// Registry keeps versions and aliases in MLflow's model registry.
type Registry struct {
	MLflow *mlflow.Client
}

var _ models.Registry = (*Registry)(nil)

// CreateModelVersion registers a candidate once, however often it is called.
func (r *Registry) CreateModelVersion(ctx context.Context, request models.CreateModelVersionRequest) (models.RegisteredVersion, error) {
	if err := r.MLflow.EnsureRegisteredModel(ctx, request.Model, request.ModelNote, nil); err != nil {
		return models.RegisteredVersion{}, trackingFailure(err)
	}
	version, err := r.MLflow.EnsureModelVersion(ctx, mlflow.EnsureModelVersionRequest{
		Key: request.Key, Model: request.Model, Source: request.Source, RunID: request.RunID,
		Description: request.Description, Tags: nonEmpty(request.Tags),
	})
	if err != nil {
		return models.RegisteredVersion{}, trackingFailure(err)
	}
	return models.RegisteredVersion{Version: version.Version, URL: r.MLflow.ModelVersionURL(request.Model, version.Version)}, nil
}

// MoveAliases sets the non-empty aliases before it deletes the empty ones, so
// that at no moment a version that is about to get an alias has none.
func (r *Registry) MoveAliases(ctx context.Context, request models.MoveAliasesRequest) error {
	names := slices.Sorted(maps.Keys(request.Aliases))
	for _, alias := range names {
		if version := request.Aliases[alias]; version != "" {
			if err := r.MLflow.SetAlias(ctx, request.Model, alias, version); err != nil {
				return trackingFailure(err)
			}
		}
	}
	for _, alias := range names {
		if request.Aliases[alias] != "" {
			continue
		}
		if err := r.MLflow.DeleteAlias(ctx, request.Model, alias); err != nil && !errors.Is(err, mlflow.ErrNotFound) {
			return trackingFailure(err)
		}
	}
	return nil
}

// TagModelVersion adds facts to a version.
func (r *Registry) TagModelVersion(ctx context.Context, request models.TagModelVersionRequest) error {
	return trackingFailure(r.MLflow.SetModelVersionTags(ctx, request.Model, request.Version, nonEmpty(request.Tags)))
}

// ClaimModel implements models.Registry.
func (r *Registry) ClaimModel(_ context.Context, request models.ClaimModelRequest) (models.ClaimModelResult, error) {
	return models.ClaimModelResult{Owner: request.Steward}, nil
}

// ReadAliases implements models.Registry.
func (r *Registry) ReadAliases(ctx context.Context, request models.ReadAliasesRequest) (models.ReadAliasesResult, error) {
	model, err := r.MLflow.GetRegisteredModel(ctx, request.Model)
	if errors.Is(err, mlflow.ErrNotFound) {
		return models.ReadAliasesResult{}, nil
	}
	return models.ReadAliasesResult{Exists: err == nil, Aliases: model.Aliases}, trackingFailure(err)
}
