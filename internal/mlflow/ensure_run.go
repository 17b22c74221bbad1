package mlflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// KeyTag holds the idempotency key of a run or of a model version. On a run a
// parameter of the same name settles which run the key stands for.
const KeyTag = "mainspring.key"

// superseded is the value of that parameter on a run that lost.
const superseded = "superseded"

// EnsureRunRequest asks for the one run of a key.
type EnsureRunRequest struct {
	ExperimentID string
	Key          string // 8 to 128 lower-case hexadecimal digits
	Name         string
	Start        time.Time
	Tags         map[string]string
}

// EnsureRun returns the run of a key within its experiment, creating it when
// there is none and restoring it when somebody deleted it. All callers with
// the same key get the same run, also when they race or die midway.
//
// The order of effects is: the run is created with the key as a tag, then
// one run is made the winner, then the others are deleted. MLflow has no
// unique tags and stamps no creation time of its own, but a run's parameter
// can be written only once, with all the guarantees of a primary key. So the
// parameter [KeyTag] is the run's verdict: the key itself, or "superseded".
// Whoever looks for the winner first supersedes every other run in sight.
// Two winners are impossible: each would have been made by somebody who did
// not see the other run, yet both runs existed at the later one's search.
func (c *Client) EnsureRun(ctx context.Context, req EnsureRunRequest) (Run, error) {
	const op = "ensure run"
	if err := checkIdempotencyKey(op, req.Key); err != nil {
		return Run{}, err
	}
	for k, v := range req.Tags {
		if err := checkValue(op, tag{k, v}, maxRunTag); err != nil {
			return Run{}, err
		}
	}
	run, err := c.settleRun(ctx, req)
	if !errors.Is(err, ErrNotFound) {
		return run, err
	}
	tags := map[string]string{}
	maps.Copy(tags, req.Tags)
	tags[KeyTag] = req.Key
	body := map[string]any{"experiment_id": req.ExperimentID, "run_name": req.Name,
		"start_time": millis(req.Start), "tags": tagList(tags)}
	created := c.do(ctx, post("create run", "experiment "+req.ExperimentID, "runs/create", body), nil)
	if created != nil && !errors.Is(created, ErrUnavailable) {
		return Run{}, created
	}
	// An answer that was lost does not mean that the run was not created.
	run, err = c.settleRun(ctx, req)
	if created != nil && err != nil {
		return Run{}, created
	}
	return run, err
}

// settleRounds is far above what racing callers need: every round in which
// this caller fails, another one has decided the fate of a run.
const settleRounds = 50

// settleRun returns the key's winner, or ErrNotFound when it has no run.
func (c *Client) settleRun(ctx context.Context, req EnsureRunRequest) (Run, error) {
	filter := fmt.Sprintf("tags.`%s` = '%s'", KeyTag, req.Key)
	for range settleRounds {
		runs, err := c.SearchRuns(ctx, SearchRunsRequest{
			ExperimentIDs: []string{req.ExperimentID}, Filter: filter, View: ViewAll})
		if err != nil {
			return Run{}, err
		}
		if won := slices.IndexFunc(runs, func(r Run) bool { return r.Params[KeyTag] == req.Key }); won >= 0 {
			return c.crown(ctx, runs, won)
		}
		undecided := slices.DeleteFunc(slices.Clone(runs), func(r Run) bool { return r.Deleted || r.Params[KeyTag] != "" })
		if len(undecided) == 0 {
			return Run{}, &Error{Op: "find run", Subject: "key " + req.Key, Class: ErrNotFound}
		}
		winner, decided, err := c.decide(ctx, undecided, req.Key)
		if err != nil {
			return Run{}, err
		}
		if decided {
			return c.crown(ctx, runs, slices.IndexFunc(runs, func(r Run) bool { return r.ID == winner }))
		}
	}
	return Run{}, &Error{Op: "settle run", Subject: "key " + req.Key, Class: ErrUnavailable,
		Message: "callers keep creating runs with this key", Hint: "look for a loop that calls with one key"}
}

// decide supersedes all runs but the earliest, then makes that one the winner.
// It is not decided when somebody was faster: the caller looks again.
func (c *Client) decide(ctx context.Context, undecided []Run, key string) (winner string, decided bool, err error) {
	slices.SortFunc(undecided, func(a, b Run) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID))
	})
	for _, r := range undecided[1:] {
		if decided, err = c.writeOnce(ctx, r.ID, superseded); !decided {
			return "", false, err
		}
	}
	winner = undecided[0].ID
	decided, err = c.writeOnce(ctx, winner, key)
	return winner, decided, err
}

// writeOnce writes a run's verdict unless it has another one or is deleted. It
// uses log-parameter and not log-batch: only the former leaves the decision
// between concurrent writers to the database.
func (c *Client) writeOnce(ctx context.Context, runID, value string) (written bool, err error) {
	body := map[string]any{"run_id": runID, "key": KeyTag, "value": value}
	err = c.do(ctx, post("settle run", runID, "runs/log-parameter", body), nil)
	var refused *Error
	if errors.Is(err, ErrInvalid) || errors.As(err, &refused) && refused.Code == codeBadRequest {
		return false, nil // another verdict is there, or was written at the same moment
	}
	return err == nil, err
}

// crown deletes what is left of the other runs and returns the winner, active.
func (c *Client) crown(ctx context.Context, runs []Run, won int) (Run, error) {
	for i, r := range runs {
		if i == won || r.Deleted {
			continue
		}
		if err := c.DeleteRun(ctx, r.ID); err != nil {
			return Run{}, err
		}
	}
	winner := runs[won]
	winner.Params[KeyTag] = winner.Tags[KeyTag]
	if winner.Deleted {
		if err := c.RestoreRun(ctx, winner.ID); err != nil {
			return Run{}, err
		}
		winner.Deleted = false
	}
	return winner, nil
}
