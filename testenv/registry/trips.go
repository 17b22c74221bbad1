package registry

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/mainspring-ml/mainspring/models"
)

// MostTrips is how many calls to MLflow a registration may take.
const MostTrips = 12

// TripsFigures are the calls that registrations took on the real server, in
// order.
type TripsFigures struct {
	First []Boundary `json:"first"` // version of a model
	Later []Boundary `json:"later"`
	Error string     `json:"error,omitempty"`
}

// Check returns what breaks the promise.
func (f TripsFigures) Check() error {
	switch {
	case f.Error != "":
		return fmt.Errorf("registrations: %s", f.Error)
	case len(f.First) > MostTrips || len(f.Later) > MostTrips:
		return fmt.Errorf("a registration took %d calls for a first version and %d for a later one, more than %d: %q, %q",
			len(f.First), len(f.Later), MostTrips, f.First, f.Later)
	case len(f.First) == 0 || len(f.Later) == 0:
		return fmt.Errorf("no calls were counted: %+v", f)
	}
	return nil
}

// Trips counts what registrations without a release cost.
func (s *Stack) Trips(ctx context.Context) (figures TripsFigures) {
	slot, err := s.Slot(ctx, "trips")
	for day, calls := range []*[]Boundary{&figures.First, &figures.Later} {
		if err == nil {
			*calls, err = slot.registration(ctx, day+1)
		}
	}
	if err != nil {
		figures.Error = err.Error()
	}
	return figures
}

// registration returns the calls after the one that ended the run, which is the
// evaluation's last, up to the one that makes the version the challenger.
func (s *Slot) registration(ctx context.Context, day int) ([]Boundary, error) {
	s.Front.Expect(nil)
	result, err := s.Live(ctx, strconv.Itoa(day), specOf("trips", day, false))
	if err == nil && result.Version == "" {
		err = fmt.Errorf("nothing was registered: %s", result.Reason)
	}
	if err != nil {
		return nil, err
	}
	calls := s.Front.Calls()
	calls = calls[slices.Index(calls, "POST runs/update")+1:]
	return calls[:slices.Index(calls, "POST registered-models/alias")+1], nil
}

func aliasesOf(status models.StewardStatus) map[string]string {
	aliases := map[string]string{}
	for alias, version := range map[string]string{
		models.AliasChampion: status.Champion, models.AliasPrevious: status.Previous, models.AliasChallenger: status.Challenger,
	} {
		if version != "" {
			aliases[alias] = version
		}
	}
	return aliases
}
