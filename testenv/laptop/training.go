package laptop

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"

	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// Patience is for what should take seconds, on a machine that does other
	// work as well.
	Patience = 90 * time.Second
	glance   = 100 * time.Millisecond
)

// Flights is the example's spec, cut down to three weeks and a small model.
func Flights(root string) (models.LifecycleSpec, error) {
	root, err := filepath.Abs(filepath.Join(root, "examples", "flights"))
	if err != nil {
		return models.LifecycleSpec{}, err
	}
	document, err := spec.Read(filepath.Join(root, "lifecycle.yaml"))
	if err != nil {
		return models.LifecycleSpec{}, err
	}
	s := document.Spec
	s.Data.Source = filepath.Join(root, "data")
	s.Data.AsOf = time.Date(2013, 1, 25, 0, 0, 0, 0, time.UTC)
	s.Data.Window, s.Data.Holdout = 24*models.Day, 7*models.Day
	s.Train.Code.Path = root
	s.Train.Environment.Requirements.Path = filepath.Join(root, "requirements.txt")
	s.Train.Params = map[string]any{"rounds": 10, "max_depth": 3, "folds": 0, "checkpoint_every": 5, "report_every": 1}
	s.Evaluate.Limits = nil
	s.Deploy.Replicas = 1
	s.Monitor = nil
	return s, nil
}

// Write puts a spec into a file in dir; JSON is YAML.
func Write(dir string, s models.LifecycleSpec) (path string, err error) {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "lifecycle.yaml")
	return path, os.WriteFile(path, text, 0o644)
}

// Submit starts a lifecycle as `mainspring run` does; dir takes its spec.
func (l *Laptop) Submit(ctx context.Context, dir, id string, s models.LifecycleSpec) error {
	path, err := Write(dir, s)
	if err != nil {
		return err
	}
	out, err := l.Output(ctx, "mainspring", "run", "-f", path, "--state-dir", l.StateDir(), "--id", id, "--no-follow")
	if err == nil && strings.TrimSpace(string(out)) != id {
		err = fmt.Errorf("mainspring run printed %q, not the workflow ID %s", out, id)
	}
	return err
}

// Ranks are the heartbeats of a training's hosts, in order of the activities'
// IDs, which is that of the hosts.
func (l *Laptop) Ranks(ctx context.Context, lifecycle string) ([]models.RankProgress, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	description, err := l.Temporal.DescribeWorkflowExecution(ctx, models.StageID(lifecycle, models.StageTrain), "")
	if err != nil {
		return nil, err
	}
	hosts := map[string]models.RankProgress{}
	for _, activity := range description.GetPendingActivities() {
		var progress models.RankProgress
		details := activity.GetHeartbeatDetails()
		if activity.GetActivityType().GetName() != "RunRanks" || details == nil {
			continue
		}
		if err := converter.GetDefaultDataConverter().FromPayloads(details, &progress); err != nil {
			return nil, err
		}
		hosts[activity.GetActivityId()] = progress
	}
	found := make([]models.RankProgress, 0, len(hosts))
	for _, id := range slices.Sorted(maps.Keys(hosts)) {
		found = append(found, hosts[id])
	}
	return found, nil
}

// Training waits until n hosts run ranks that are as wanted, and returns them
// with the ranks' process IDs.
func (l *Laptop) Training(ctx context.Context, lifecycle string, n int, wanted func([]models.RankProgress) bool) (found []models.RankProgress, pids []int, err error) {
	err = Eventually(Patience, func() (ok bool, seen any) {
		var err error
		if found, err = l.Ranks(ctx, lifecycle); err != nil || len(found) != n {
			return false, []any{found, err}
		}
		pids = nil
		for _, host := range found {
			pids = append(pids, host.PIDs...)
		}
		return len(pids) == n && wanted(found), found
	})
	return found, pids, err
}

// Eventually asks again until ok, and fails with what was seen last.
func Eventually(limit time.Duration, ask func() (ok bool, seen any)) error {
	deadline := time.Now().Add(limit)
	for {
		ok, seen := ask()
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s; last seen: %+v", limit, seen)
		}
		time.Sleep(glance)
	}
}

// Took is the time since, as people read it.
func Took(began time.Time) time.Duration { return time.Since(began).Round(100 * time.Millisecond) }
