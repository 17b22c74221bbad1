package registry

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Figures are what a whole proof measured.
type Figures struct {
	Date    time.Time      `json:"date"`
	Cores   int            `json:"cores"`
	Trips   TripsFigures   `json:"trips"`
	Seeds   SeedsFigures   `json:"seeds"`
	Crowd   CrowdFigures   `json:"crowd"`
	Stories []StoryFigures `json:"stories"`
}

// Size says how much to live through.
type Size struct {
	Seeds  SeedsConfig
	Crowd  int // lifecycles of one model at once
	Outage time.Duration
}

// Prove lives through everything, one part after the other.
func (s *Stack) Prove(ctx context.Context, size Size) (figures Figures, err error) {
	figures = Figures{Date: time.Now().UTC(), Cores: runtime.NumCPU()}
	figures.Trips = s.Trips(ctx)
	s.config.Log("registrations took %d and %d calls", len(figures.Trips.First), len(figures.Trips.Later))
	if figures.Seeds, err = s.Seeds(ctx, size.Seeds); err != nil {
		return figures, err
	}
	s.config.Log("%d of %d seeds ended as they must in %.0f s", figures.Seeds.Right, figures.Seeds.Seeds, figures.Seeds.Took)
	figures.Crowd = s.Crowd(ctx, size.Crowd)
	s.config.Log("%d lifecycles of one model in %.0f s %s", size.Crowd, figures.Crowd.Took, figures.Crowd.Error)
	figures.Stories = s.Stories(ctx, size.Outage)
	return figures, ctx.Err()
}

// Check returns what breaks a promise.
func (f Figures) Check() error {
	broken := []error{f.Trips.Check(), f.Seeds.Check(true), f.Crowd.Check()}
	for _, story := range f.Stories {
		broken = append(broken, story.Check())
	}
	return errors.Join(broken...)
}

// Check returns what breaks a promise.
func (f CrowdFigures) Check() error {
	switch {
	case f.Error != "":
		return fmt.Errorf("%d lifecycles of one model: %s", f.Lifecycles, f.Error)
	case f.Versions != f.Lifecycles || f.Promotions != f.Lifecycles:
		return fmt.Errorf("%d lifecycles of one model left %d versions and %d promotions", f.Lifecycles, f.Versions, f.Promotions)
	}
	return nil
}

// Check returns what breaks a promise.
func (f StoryFigures) Check() error {
	if f.Error != "" {
		return fmt.Errorf("%s: %s", f.Story, f.Error)
	}
	return nil
}
