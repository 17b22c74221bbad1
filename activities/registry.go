package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// Registry keeps versions and aliases in MLflow's model registry.
type Registry struct {
	MLflow *mlflow.Client
	// NamespaceID tells the Temporal namespace that the stewards live in from all
	// others, also from those of the same name elsewhere.
	NamespaceID func(context.Context) (string, error)
	// WorkflowPage is where a person sees a workflow; nil or empty: nowhere.
	WorkflowPage func(workflowID, runID string) string
}

var _ models.Registry = (*Registry)(nil)

// ClaimModel implements models.Registry.
func (r *Registry) ClaimModel(ctx context.Context, request models.ClaimModelRequest) (models.ClaimModelResult, error) {
	namespace, err := r.NamespaceID(ctx)
	if err != nil {
		return models.ClaimModelResult{}, unavailable(request.Model, "the namespace's ID can't be had from Temporal", err)
	}
	owner := namespace + "/" + request.Steward
	claim, err := r.MLflow.ClaimModel(ctx, mlflow.ClaimRequest{
		Model: request.Model, Description: fitted(request.ModelNote, ""), Owner: owner, TakeOver: request.TakeOver, Now: time.Now(),
	})
	var held *mlflow.Error
	if errors.Is(err, mlflow.ErrHeld) && errors.As(err, &held) {
		return models.ClaimModelResult{}, &models.Error{
			Kind: models.KindNotOwner, Subject: "model " + request.Model, Message: held.Message + ", and one steward at a time may write",
			Hint: fmt.Sprintf("if that one is gone for good: `mainspring aliases %s --take-over --reason …`", request.Model),
		}
	}
	if err != nil {
		return models.ClaimModelResult{}, trackingFailure(err)
	}
	return models.ClaimModelResult{Owner: owner, Before: claim.Before, Aliases: claim.Model.Aliases}, nil
}

// CreateModelVersion registers a candidate once, however often it is called.
func (r *Registry) CreateModelVersion(ctx context.Context, request models.CreateModelVersionRequest) (models.RegisteredVersion, error) {
	if _, err := r.owned(ctx, request.Model, request.Owner); err != nil {
		return models.RegisteredVersion{}, err
	}
	tags, story := nonEmpty(request.Tags), ""
	if page := r.page(request.Lifecycle, request.LifecycleRun); page != "" {
		tags[workflowURLTag] = page
		story = "\n\n" + madeBy(request.Lifecycle, page)
	}
	version, err := r.MLflow.EnsureModelVersion(ctx, mlflow.EnsureModelVersionRequest{
		Key: request.Key, Model: request.Model, Source: request.Source, RunID: request.RunID,
		Description: fitted(request.Description, story), Tags: tags,
	})
	if err != nil {
		return models.RegisteredVersion{}, trackingFailure(err)
	}
	return models.RegisteredVersion{Version: version.Version, URL: r.MLflow.ModelVersionURL(request.Model, version.Version)}, nil
}

// workflowURLTag links a version to the workflow that made it.
const workflowURLTag = "mainspring.workflow_url"

// madeBy links a lifecycle's page in Markdown. Whoever starts a lifecycle chooses
// its ID, which must not end the link and begin another.
func madeBy(lifecycle, page string) string {
	name := strings.NewReplacer("[", `\[`, "]", `\]`, "<", "&lt;").Replace(lifecycle)
	return "Made by the lifecycle [" + name + "](" + strings.NewReplacer("(", "%28", ")", "%29").Replace(page) + ")."
}

func (r *Registry) page(workflowID, runID string) string {
	if r.WorkflowPage == nil || workflowID == "" {
		return ""
	}
	return r.WorkflowPage(workflowID, runID)
}

// fitted cuts a description to what MLflow's databases keep; the end stays.
func fitted(description, end string) string {
	const cut = "\n\n… the rest is among the run's artifacts."
	text, room := []rune(description), mlflow.MaxDescription-len([]rune(end))
	if len(text) > room {
		text = append(text[:max(0, room-len([]rune(cut)))], []rune(cut)...)
	}
	return string(text) + end
}

// owned reads a model that the owner holds; others, and who names no owner, fail
// with KindNotOwner.
func (r *Registry) owned(ctx context.Context, model, owner string) (mlflow.RegisteredModel, error) {
	found, err := r.MLflow.GetRegisteredModel(ctx, model)
	if err != nil && !errors.Is(err, mlflow.ErrNotFound) {
		return found, trackingFailure(err)
	}
	if holder := found.Owner(); owner == "" || holder != owner {
		message := "nobody holds it in MLflow: it, or the claim on it, was deleted there"
		if holder != "" {
			message = "it is held in MLflow by " + holder
		}
		return found, &models.Error{Kind: models.KindNotOwner, Subject: "model " + model, Message: message,
			Hint: "the steward has to claim it again before it writes"}
	}
	return found, trackingFailure(err)
}

// MoveAliases sets the non-empty aliases before it deletes the empty ones, so
// that at no moment a version that is about to get an alias has none. What is
// as wanted already is left alone, so a call that died midway can be repeated.
func (r *Registry) MoveAliases(ctx context.Context, request models.MoveAliasesRequest) error {
	found, err := r.owned(ctx, request.Model, request.Owner)
	if err != nil {
		return err
	}
	if err := r.unmoved(ctx, request, found); err != nil {
		return err
	}
	todo := maps.Clone(request.Aliases)
	maps.DeleteFunc(todo, func(alias, version string) bool { return found.Aliases[alias] == version })
	names := slices.Sorted(maps.Keys(todo))
	for _, alias := range names {
		if version := todo[alias]; version != "" {
			if err := r.MLflow.SetAlias(ctx, request.Model, alias, version); err != nil {
				return trackingFailure(err)
			}
		}
	}
	for _, alias := range names {
		if todo[alias] != "" {
			continue
		}
		if err := r.MLflow.DeleteAlias(ctx, request.Model, alias); err != nil && !errors.Is(err, mlflow.ErrNotFound) {
			return trackingFailure(err)
		}
	}
	return nil
}

// unmoved fails with KindAliasMoved when somebody else moved one of the
// aliases. One that vanished together with its version is in nobody's way.
func (r *Registry) unmoved(ctx context.Context, request models.MoveAliasesRequest, found mlflow.RegisteredModel) error {
	if request.Expected == nil {
		return nil
	}
	var moved []models.AliasDifference
	for _, alias := range slices.Sorted(maps.Keys(request.Aliases)) {
		recorded, is := request.Expected[alias], found.Aliases[alias]
		if is == recorded || is == request.Aliases[alias] {
			continue
		}
		difference := models.AliasDifference{Alias: alias, Recorded: recorded, Found: is}
		if recorded != "" {
			gone, err := r.deleted(ctx, found, recorded)
			if err != nil {
				return err
			}
			difference.Deleted = len(gone) > 0
		}
		if is != "" || !difference.Deleted {
			moved = append(moved, difference)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	return &models.Error{Kind: models.KindAliasMoved, Subject: "alias " + moved[0].Alias + " of model " + request.Model, Details: moved,
		Message: "somebody moved it in MLflow: it is recorded at " + versionText(moved[0].Recorded) + " and found at " + versionText(moved[0].Found),
		Hint:    "see `mainspring aliases`; restore what is recorded, or adopt what was found"}
}

func versionText(version string) string {
	if version == "" {
		return "no version"
	}
	return "version " + version
}

// deleted are those of the versions that MLflow does not have. One with an
// alias is there, and not asked for: aliases go with their version.
func (r *Registry) deleted(ctx context.Context, model mlflow.RegisteredModel, versions ...string) (gone []string, err error) {
	there := slices.Collect(maps.Values(model.Aliases))
	for _, version := range slices.Compact(slices.Sorted(slices.Values(versions))) {
		if slices.Contains(there, version) {
			continue
		}
		_, err := r.MLflow.GetModelVersion(ctx, model.Name, version)
		switch {
		case errors.Is(err, mlflow.ErrNotFound):
			gone = append(gone, version)
		case err != nil:
			return nil, trackingFailure(err)
		}
	}
	return gone, nil
}

// ReadAliases implements models.Registry.
func (r *Registry) ReadAliases(ctx context.Context, request models.ReadAliasesRequest) (models.ReadAliasesResult, error) {
	model, err := r.MLflow.GetRegisteredModel(ctx, request.Model)
	if errors.Is(err, mlflow.ErrNotFound) {
		return models.ReadAliasesResult{Aliases: map[string]string{}, Deleted: request.Versions}, nil
	}
	if err != nil {
		return models.ReadAliasesResult{}, trackingFailure(err)
	}
	result := models.ReadAliasesResult{Exists: true, Aliases: model.Aliases, Owner: model.Owner()}
	result.Deleted, err = r.deleted(ctx, model, request.Versions...)
	return result, err
}

// TagModelVersion adds facts to a version, the description last.
func (r *Registry) TagModelVersion(ctx context.Context, request models.TagModelVersionRequest) error {
	err := r.MLflow.SetModelVersionTags(ctx, request.Model, request.Version, nonEmpty(request.Tags))
	if err == nil && request.Description != "" {
		err = r.MLflow.DescribeModelVersion(ctx, request.Model, request.Version, fitted(request.Description, ""))
	}
	return trackingFailure(err)
}
