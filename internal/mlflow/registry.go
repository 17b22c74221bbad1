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
	err := c.createModel(ctx, name, description, tags)
	if errors.Is(err, ErrAlreadyExists) {
		return nil
	}
	return err
}

func (c *Client) createModel(ctx context.Context, name, description string, tags map[string]string) error {
	const op = "create registered model"
	list := tagList(tags)
	if err := checkText(op, "model "+name, description, list, maxModelTag); err != nil {
		return err
	}
	body := map[string]any{"name": name, "description": description, "tags": list}
	return c.do(ctx, post(op, name, "registered-models/create", body), nil)
}

// SetModelTag sets a tag of a registered model, replacing its value.
func (c *Client) SetModelTag(ctx context.Context, model, key, value string) error {
	const op = "set model tag"
	if err := checkValue(op, tag{key, value}, maxModelTag); err != nil {
		return err
	}
	body := map[string]any{"name": model, "key": key, "value": value}
	return c.do(ctx, post(op, key+" of model "+model, "registered-models/set-tag", body), nil)
}

// DeleteModelTag removes a tag; one that does not exist is success.
func (c *Client) DeleteModelTag(ctx context.Context, model, key string) error {
	req := post("delete model tag", key+" of model "+model, "registered-models/delete-tag",
		map[string]any{"name": model, "key": key})
	req.method = http.MethodDelete
	return c.do(ctx, req, nil)
}

// DeleteRegisteredModel deletes a model with its versions and aliases, for good.
func (c *Client) DeleteRegisteredModel(ctx context.Context, model string) error {
	req := post("delete registered model", model, "registered-models/delete", map[string]any{"name": model})
	req.method = http.MethodDelete
	return c.do(ctx, req, nil)
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
