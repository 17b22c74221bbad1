package mlflow

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// RegisteredModel is a name with versions.
type RegisteredModel struct {
	Name        string
	Description string
	Tags        map[string]string
	Aliases     map[string]string // alias → version
}

// GetRegisteredModel returns a model with its aliases. Searches leave aliases
// out on some servers, so this is the call to read them with.
func (c *Client) GetRegisteredModel(ctx context.Context, name string) (RegisteredModel, error) {
	if err := CheckModelName(name); err != nil {
		return RegisteredModel{}, err
	}
	var out struct {
		Model struct {
			Name        string `json:"name"`
			Description string `json:"description"`
			Tags        []tag  `json:"tags"`
			Aliases     []struct {
				Alias   string `json:"alias"`
				Version string `json:"version"`
			} `json:"aliases"`
		} `json:"registered_model"`
	}
	query := url.Values{"name": {name}}
	if err := c.do(ctx, get("get registered model", name, "registered-models/get", query), &out); err != nil {
		return RegisteredModel{}, err
	}
	model := RegisteredModel{Name: out.Model.Name, Description: out.Model.Description,
		Tags: tagMap(out.Model.Tags), Aliases: map[string]string{}}
	for _, a := range out.Model.Aliases {
		model.Aliases[a.Alias] = a.Version
	}
	return model, nil
}

// EnsureRegisteredModel creates a model unless it exists; description and tags
// of an existing one stay.
func (c *Client) EnsureRegisteredModel(ctx context.Context, name, description string, tags map[string]string) error {
	if err := CheckModelName(name); err != nil {
		return err
	}
	body := map[string]any{"name": name, "description": description, "tags": tagList(tags)}
	err := c.do(ctx, post("create registered model", name, "registered-models/create", body), nil)
	if errors.Is(err, ErrAlreadyExists) {
		return nil
	}
	return err
}

// SetAlias points an alias at a version, moving it if it exists. Moving one
// alias is atomic; moving two is two calls, and the last writer wins.
func (c *Client) SetAlias(ctx context.Context, model, alias, version string) error {
	if err := CheckModelName(model); err != nil {
		return err
	}
	if err := CheckAlias(alias); err != nil {
		return err
	}
	body := map[string]any{"name": model, "alias": alias, "version": version}
	return c.do(ctx, post("set alias", alias+" of model "+model, "registered-models/alias", body), nil)
}

// DeleteAlias removes an alias; one that does not exist is success.
func (c *Client) DeleteAlias(ctx context.Context, model, alias string) error {
	req := post("delete alias", alias+" of model "+model, "registered-models/alias",
		map[string]any{"name": model, "alias": alias})
	req.method = http.MethodDelete
	return c.do(ctx, req, nil)
}

// VersionByAlias returns the version an alias points at.
func (c *Client) VersionByAlias(ctx context.Context, model, alias string) (ModelVersion, error) {
	found, err := c.GetRegisteredModel(ctx, model)
	if err != nil {
		return ModelVersion{}, err
	}
	version, ok := found.Aliases[alias]
	if !ok {
		return ModelVersion{}, &Error{Op: "get version by alias", Subject: alias + " of model " + model,
			Message: "the model has no such alias", Class: ErrNotFound}
	}
	return c.GetModelVersion(ctx, model, version)
}
