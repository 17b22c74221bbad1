package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// Expected is what must be true of a model when everything is over.
type Expected struct {
	// Results are the lifecycles' own, by workflow ID.
	Results map[string]models.LifecycleResult
	Aliases map[string]string // alias → version
	// Others are versions that no lifecycle of Results has registered.
	Others int
}

// Verify looks at MLflow past all fronts, at the steward and at the route.
func (s *Slot) Verify(ctx context.Context, model string, want Expected) error {
	if err := s.stack.AwaitReady(ctx, devstack.ServerMLflow); err != nil {
		return err // another seed has killed it
	}
	var broken []error
	for _, id := range slices.Sorted(maps.Keys(want.Results)) {
		broken = append(broken, s.oneRun(ctx, model, id, want.Results[id]))
	}
	broken = append(broken, s.versions(ctx, model, want), s.aliases(ctx, model, want.Aliases), s.record(ctx, model, want))
	if champion := want.Aliases[models.AliasChampion]; champion != "" {
		broken = append(broken, s.route(ctx, model, champion))
	}
	return errors.Join(broken...)
}

// oneRun: one active run of the lifecycle, which is the one that it names.
func (s *Slot) oneRun(ctx context.Context, model, lifecycle string, result models.LifecycleResult) error {
	experiment, err := s.stack.MLflow.ExperimentByName(ctx, model)
	if err != nil {
		return err
	}
	runs, err := s.stack.MLflow.SearchRuns(ctx, mlflow.SearchRunsRequest{
		ExperimentIDs: []string{experiment.ID}, Filter: "tags.`mainspring.lifecycle` = '" + lifecycle + "'",
	})
	switch {
	case err != nil:
		return err
	case len(runs) != 1:
		return fmt.Errorf("%s has %d active runs, not 1", lifecycle, len(runs))
	case runs[0].ID != result.RunID:
		return fmt.Errorf("%s has run %s, and its result names %s", lifecycle, runs[0].ID, result.RunID)
	case runs[0].Status != mlflow.RunFinished:
		return fmt.Errorf("run %s of %s is %s", result.RunID, lifecycle, runs[0].Status)
	}
	return nil
}

// versions: one for each lifecycle that has registered, of its run.
func (s *Slot) versions(ctx context.Context, model string, want Expected) error {
	found, err := s.stack.MLflow.SearchModelVersions(ctx, "name = '"+model+"'")
	if err != nil {
		return err
	}
	runs := map[string]string{}
	for _, v := range found {
		runs[v.Version] = v.RunID
	}
	registered := want.Others
	for _, id := range slices.Sorted(maps.Keys(want.Results)) {
		result := want.Results[id]
		if result.Version == "" {
			continue
		}
		registered++
		if runs[result.Version] != result.RunID {
			return fmt.Errorf("version %s of %s is of run %q, not of %s, which %s has", result.Version, model, runs[result.Version], result.RunID, id)
		}
	}
	if len(found) != registered {
		return fmt.Errorf("%s has %d versions, not %d", model, len(found), registered)
	}
	return nil
}

func (s *Slot) aliases(ctx context.Context, model string, want map[string]string) error {
	found, err := s.stack.MLflow.GetRegisteredModel(ctx, model)
	if err == nil && !maps.Equal(found.Aliases, want) {
		err = fmt.Errorf("the aliases of %s are %v, not %v", model, found.Aliases, want)
	}
	return err
}

// stewardRecord is what a steward says of itself, and its whole record.
func (s *Slot) stewardRecord(ctx context.Context, model string) (models.StewardStatus, []models.Record, error) {
	status, err := s.Steward(ctx, model)
	if err != nil {
		return status, nil, err
	}
	records, err := s.stack.records(ctx, status)
	return status, records, err
}

// record: the chain holds from its first record, and says what MLflow says.
func (s *Slot) record(ctx context.Context, model string, want Expected) error {
	status, records, err := s.stewardRecord(ctx, model)
	if err != nil {
		return err
	}
	if err := models.VerifyRecords(records, 0, ""); err != nil {
		return fmt.Errorf("the record of %s: %w", model, err)
	}
	state := aliasesOf(status)
	if !maps.Equal(state, want.Aliases) {
		return fmt.Errorf("the steward of %s believes in the aliases %v, not %v", model, state, want.Aliases)
	}
	return replay(records, want.Aliases)
}

// replay follows the aliases through the record.
func replay(records []models.Record, want map[string]string) error {
	var last map[string]string
	registered := map[string]bool{}
	for _, r := range records {
		if r.Action == models.ActionRegistered {
			if registered[r.Version] {
				return fmt.Errorf("record %d registers version %s a second time", r.Sequence, r.Version)
			}
			registered[r.Version] = true
		}
		if r.Aliases != nil {
			last = r.Aliases
		}
	}
	got := maps.Clone(last)
	maps.DeleteFunc(got, func(_, version string) bool { return version == "" })
	if !maps.Equal(got, want) {
		return fmt.Errorf("the record ends with the aliases %v, not %v", got, want)
	}
	return nil
}

// records are the archived ones and those that the steward still has.
func (s *Stack) records(ctx context.Context, status models.StewardStatus) (all []models.Record, err error) {
	all = status.Records
	for segment := status.Archive; segment != nil; {
		text, err := artifact.ReadRef(ctx, s.Store, segment.File, 64<<20)
		if err != nil {
			return nil, err
		}
		header, records, err := parseSegment(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", segment.File.URI, err)
		}
		all, segment = append(records, all...), header.Prior
	}
	return all, nil
}

func parseSegment(text []byte) (header models.AuditHeader, records []models.Record, err error) {
	first := true
	for line := range lines(text) {
		if first {
			first, err = false, json.Unmarshal(line, &header)
		} else {
			var r models.Record
			err = json.Unmarshal(line, &r)
			records = append(records, r)
		}
		if err != nil {
			return header, nil, err
		}
	}
	return header, records, nil
}

// route: all traffic goes to the champion.
func (s *Slot) route(ctx context.Context, endpoint, champion string) error {
	route, err := s.stack.Routing.ReadRoute(ctx, endpoint)
	if err != nil {
		return err
	}
	if len(route.Arms) != 1 || route.Arms[0].Version != champion || route.Arms[0].Weight != 1 {
		return fmt.Errorf("the route of %s is %+v, and version %s is the champion", endpoint, route.Arms, champion)
	}
	return nil
}

// lines are those that hold anything.
func lines(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(text) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(line) {
				return
			}
		}
	}
}
