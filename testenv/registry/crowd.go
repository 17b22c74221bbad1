package registry

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/models"
)

// CrowdFigures are what came of many lifecycles of one model at once.
type CrowdFigures struct {
	Lifecycles int     `json:"lifecycles"`
	Versions   int     `json:"versions"`
	Promotions int     `json:"promotions"`
	Records    int64   `json:"records"`
	Took       float64 `json:"took_s"`
	Error      string  `json:"error,omitempty"`
}

// Crowd starts n lifecycles of one model at once and waits for all.
func (s *Stack) Crowd(ctx context.Context, n int) (figures CrowdFigures) {
	began := time.Now()
	figures.Lifecycles = n
	slot, err := s.Slot(ctx, "crowd")
	if err == nil {
		err = slot.crowd(ctx, n, &figures)
	}
	figures.Took = time.Since(began).Seconds()
	if err != nil {
		figures.Error = err.Error()
	}
	return figures
}

func (s *Slot) crowd(ctx context.Context, n int, figures *CrowdFigures) error {
	const model = "crowd"
	if err := traffic(ctx, s.stack.Store, model, int64(4*n), n+8); err != nil {
		return err
	}
	results := make([]models.LifecycleResult, n)
	group, running := errgroup.WithContext(ctx)
	for i := range results {
		group.Go(func() (err error) {
			results[i], err = s.Live(running, strconv.Itoa(i), specOf(model, 1, true))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	want := Expected{Results: map[string]models.LifecycleResult{}}
	seen := map[string]bool{}
	for i, result := range results {
		want.Results[models.LifecycleID(model, strconv.Itoa(i))] = result
		seen[result.Version] = true
		if result.Promoted {
			figures.Promotions++
		}
	}
	figures.Versions = len(seen)
	if len(seen) != n || seen[""] {
		return fmt.Errorf("%d lifecycles registered %d versions", n, len(seen))
	}
	status, records, err := s.stewardRecord(ctx, model)
	if err != nil {
		return err
	}
	figures.Records = int64(len(records))
	want.Aliases = aliasesOf(status)
	return errors.Join(s.Verify(ctx, model, want), linear(records, n, figures.Promotions))
}

// linear: versions come in order, once each, and each champion follows the one
// before it.
func linear(records []models.Record, registrations, promotions int) error {
	var broken []error
	newest, champion := 0, ""
	registered, promoted := 0, 0
	for _, r := range records {
		switch r.Action { //nolint:exhaustive // the others move nothing here
		case models.ActionRegistered:
			registered++
			version, err := strconv.Atoi(r.Version)
			if err != nil || version <= newest {
				broken = append(broken, fmt.Errorf("record %d registers version %s after version %d", r.Sequence, r.Version, newest))
			}
			newest = version
		case models.ActionPromoted:
			promoted++
			if r.Aliases[models.AliasPrevious] != champion || r.Aliases[models.AliasChampion] != r.Version {
				broken = append(broken, fmt.Errorf("record %d promotes version %s over %q and says %v", r.Sequence, r.Version, champion, r.Aliases))
			}
			champion = r.Version
		}
	}
	if registered != registrations || promoted != promotions {
		broken = append(broken, fmt.Errorf("the record has %d registrations and %d promotions, not %d and %d", registered, promoted, registrations, promotions))
	}
	return errors.Join(broken...)
}
