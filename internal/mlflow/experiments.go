package mlflow

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"
)

// Experiment groups runs.
type Experiment struct {
	ID               string
	Name             string
	ArtifactLocation string // root URI of its runs' artifacts
	Deleted          bool   // soft-deleted: the name stays taken
	Tags             map[string]string
}

type wireExperiment struct {
	ID               string `json:"experiment_id"`
	Name             string `json:"name"`
	ArtifactLocation string `json:"artifact_location"`
	Lifecycle        string `json:"lifecycle_stage"`
	Tags             []tag  `json:"tags"`
}

// ExperimentByName finds an experiment, deleted ones included.
func (c *Client) ExperimentByName(ctx context.Context, name string) (Experiment, error) {
	var out struct {
		Experiment wireExperiment `json:"experiment"`
	}
	query := url.Values{"experiment_name": {name}}
	if err := c.do(ctx, get("get experiment", name, "experiments/get-by-name", query), &out); err != nil {
		return Experiment{}, err
	}
	return out.Experiment.experiment(), nil
}

func (w wireExperiment) experiment() Experiment {
	return Experiment{ID: w.ID, Name: w.Name, ArtifactLocation: w.ArtifactLocation,
		Deleted: w.Lifecycle == "deleted", Tags: tagMap(w.Tags)}
}

// SearchExperiments returns all experiments that are not deleted.
func (c *Client) SearchExperiments(ctx context.Context) ([]Experiment, error) {
	query := url.Values{"max_results": {"1000"}, "view_type": {"ACTIVE_ONLY"}}
	var found []Experiment
	for {
		var out struct {
			Experiments []wireExperiment `json:"experiments"`
			Next        string           `json:"next_page_token"`
		}
		if err := c.do(ctx, get("search experiments", "", "experiments/search", query), &out); err != nil {
			return nil, err
		}
		for _, w := range out.Experiments {
			found = append(found, w.experiment())
		}
		if out.Next == "" || len(out.Experiments) == 0 {
			return found, nil
		}
		query.Set("page_token", out.Next)
	}
}

// EnsureExperiment returns the experiment of that name, creating it with tags
// or restoring it when it was deleted. Tags of an existing one stay.
func (c *Client) EnsureExperiment(ctx context.Context, name string, tags map[string]string) (Experiment, error) {
	const op = "ensure experiment"
	if n := utf8.RuneCountInString(name); n == 0 || n > maxExperimentName {
		return Experiment{}, refuse(op, name, fmt.Sprintf("the name has %d characters", n),
			fmt.Sprintf("use 1 to %d", maxExperimentName))
	}
	found, err := c.ExperimentByName(ctx, name)
	if errors.Is(err, ErrNotFound) {
		body := map[string]any{"name": name, "tags": tagList(tags)}
		err = c.do(ctx, post("create experiment", name, "experiments/create", body), nil)
		if err != nil && !errors.Is(err, ErrAlreadyExists) {
			return Experiment{}, err
		}
		found, err = c.ExperimentByName(ctx, name)
	}
	if err != nil || !found.Deleted {
		return found, err
	}
	body := map[string]any{"experiment_id": found.ID}
	err = c.do(ctx, post("restore experiment", name, "experiments/restore", body), nil)
	// The server answers "not found" when somebody else has just restored it.
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Experiment{}, err
	}
	found, err = c.ExperimentByName(ctx, name)
	if err == nil && found.Deleted {
		return Experiment{}, &Error{Op: op, Subject: name, Message: "the experiment was deleted again",
			Hint: "see who deletes it", Class: ErrUnavailable}
	}
	return found, err
}

// DeleteExperiment soft-deletes an experiment and its runs.
func (c *Client) DeleteExperiment(ctx context.Context, id string) error {
	body := map[string]any{"experiment_id": id}
	return c.do(ctx, post("delete experiment", id, "experiments/delete", body), nil)
}
