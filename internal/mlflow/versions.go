package mlflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// ModelVersion is a registered artifact.
type ModelVersion struct {
	Model       string
	Version     string // decimal, increasing, with gaps
	Source      string
	RunID       string
	Description string // Markdown
	Created     time.Time
	Tags        map[string]string
}

type wireVersion struct {
	Name        string  `json:"name"`
	Version     string  `json:"version"`
	Source      string  `json:"source"`
	RunID       string  `json:"run_id"`
	Description string  `json:"description"`
	Created     integer `json:"creation_timestamp"`
	Tags        []tag   `json:"tags"`
}

func (w wireVersion) version() ModelVersion {
	return ModelVersion{Model: w.Name, Version: w.Version, Source: w.Source, RunID: w.RunID,
		Description: w.Description, Created: instant(w.Created), Tags: tagMap(w.Tags)}
}

func subjectOf(model, version string) string { return "version " + version + " of model " + model }

// EnsureModelVersionRequest asks for the one version of a key. The model must
// exist; see [Client.EnsureRegisteredModel].
type EnsureModelVersionRequest struct {
	Key   string // 8 to 128 lower-case hexadecimal digits
	Model string
	// Source is the URI of a directory in MLflow's model format, such as
	// <run's artifact URI>/model. Python loads it by models:/name@alias with its
	// own access to that store.
	Source string
	// RunID links the version's page to the run; MLflow does not check it.
	RunID       string
	Description string // Markdown
	Tags        map[string]string
}

// EnsureModelVersion returns the version of a key within its model, creating
// it when there is none. All callers with the same key get the same version,
// also when they race or die midway: the server numbers versions in the order
// in which they become visible, so whoever sees two keeps the lower one and
// deletes the rest.
func (c *Client) EnsureModelVersion(ctx context.Context, req EnsureModelVersionRequest) (ModelVersion, error) {
	const op = "ensure model version"
	if err := errors.Join(CheckModelName(req.Model), checkIdempotencyKey(op, req.Key)); err != nil {
		return ModelVersion{}, err
	}
	if n := utf8.RuneCountInString(req.Source); n == 0 || n > maxSource {
		return ModelVersion{}, refuse(op, "model "+req.Model, fmt.Sprintf("the source has %d characters", n),
			fmt.Sprintf("use a URI of 1 to %d", maxSource))
	}
	tags := map[string]string{}
	maps.Copy(tags, req.Tags)
	tags[KeyTag] = req.Key
	if err := checkText(op, "model "+req.Model, req.Description, tagList(tags), maxVersionTag); err != nil {
		return ModelVersion{}, err
	}
	version, err := c.settleVersion(ctx, req.Model, req.Key)
	if !errors.Is(err, ErrNotFound) {
		return version, err
	}
	body := map[string]any{"name": req.Model, "source": req.Source, "run_id": req.RunID,
		"description": req.Description, "tags": tagList(tags)}
	created := c.do(ctx, post("create model version", "model "+req.Model, "model-versions/create", body), nil)
	if created != nil && !errors.Is(created, ErrUnavailable) {
		return ModelVersion{}, created
	}
	// An answer that was lost does not mean that the version was not created,
	// and a server gives up when too many callers want the next number at once.
	version, err = c.settleVersion(ctx, req.Model, req.Key)
	if created != nil && err != nil {
		return ModelVersion{}, created
	}
	return version, err
}

// settleVersion keeps the lowest version of a key and deletes the others.
func (c *Client) settleVersion(ctx context.Context, model, key string) (ModelVersion, error) {
	found, err := c.SearchModelVersions(ctx, fmt.Sprintf("name = '%s' AND tags.`%s` = '%s'", model, KeyTag, key))
	if err != nil {
		return ModelVersion{}, err
	}
	if len(found) == 0 {
		return ModelVersion{}, &Error{Op: "find model version", Subject: "key " + key, Class: ErrNotFound}
	}
	for _, v := range found[1:] {
		if err := c.DeleteModelVersion(ctx, v.Model, v.Version); err != nil {
			return ModelVersion{}, err
		}
	}
	return found[0], nil
}

// GetModelVersion returns one version.
func (c *Client) GetModelVersion(ctx context.Context, model, version string) (ModelVersion, error) {
	var out struct {
		Version wireVersion `json:"model_version"`
	}
	query := url.Values{"name": {model}, "version": {version}}
	err := c.do(ctx, get("get model version", subjectOf(model, version), "model-versions/get", query), &out)
	return out.Version.version(), err
}

// SearchModelVersions returns the versions a filter selects, by model and then
// number. A model that does not exist has none.
func (c *Client) SearchModelVersions(ctx context.Context, filter string) ([]ModelVersion, error) {
	query := url.Values{"filter": {filter}, "max_results": {strconv.Itoa(1000)}}
	var found []ModelVersion
	for {
		var out struct {
			Versions []wireVersion `json:"model_versions"`
			Next     string        `json:"next_page_token"`
		}
		if err := c.do(ctx, get("search model versions", filter, "model-versions/search", query), &out); err != nil {
			return nil, err
		}
		for _, w := range out.Versions {
			found = append(found, w.version())
		}
		if out.Next == "" || len(out.Versions) == 0 {
			break
		}
		query.Set("page_token", out.Next)
	}
	slices.SortFunc(found, func(a, b ModelVersion) int {
		// Shorter decimal numbers are smaller ones.
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(len(a.Version), len(b.Version)),
			cmp.Compare(a.Version, b.Version))
	})
	return found, nil
}

// SetModelVersionTags sets tags, one request each, in the order of their keys.
func (c *Client) SetModelVersionTags(ctx context.Context, model, version string, tags map[string]string) error {
	const op = "set version tag"
	list := tagList(tags)
	if err := checkText(op, subjectOf(model, version), "", list, maxVersionTag); err != nil {
		return err
	}
	for _, t := range list {
		body := map[string]any{"name": model, "version": version, "key": t.Key, "value": t.Value}
		if err := c.do(ctx, post(op, subjectOf(model, version), "model-versions/set-tag", body), nil); err != nil {
			return err
		}
	}
	return nil
}

// DeleteModelVersionTag removes a tag; one that does not exist is success.
func (c *Client) DeleteModelVersionTag(ctx context.Context, model, version, key string) error {
	req := post("delete version tag", key+" of "+subjectOf(model, version), "model-versions/delete-tag",
		map[string]any{"name": model, "version": version, "key": key})
	req.method = http.MethodDelete
	return c.do(ctx, req, nil)
}

// DescribeModelVersion replaces a version's description (Markdown).
func (c *Client) DescribeModelVersion(ctx context.Context, model, version, description string) error {
	const op = "describe model version"
	if err := checkText(op, subjectOf(model, version), description, nil, 0); err != nil {
		return err
	}
	req := post(op, subjectOf(model, version), "model-versions/update",
		map[string]any{"name": model, "version": version, "description": description})
	req.method = http.MethodPatch
	return c.do(ctx, req, nil)
}

// DeleteModelVersion deletes a version and the aliases that point at it; one
// that does not exist is success. Its number is not used again.
func (c *Client) DeleteModelVersion(ctx context.Context, model, version string) error {
	req := post("delete model version", subjectOf(model, version), "model-versions/delete",
		map[string]any{"name": model, "version": version})
	req.method = http.MethodDelete
	if err := c.do(ctx, req, nil); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}
