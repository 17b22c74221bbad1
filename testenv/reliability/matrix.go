// Package reliability breaks trainings on the real stack and measures what it
// costs: the end-to-end test holds the figures to the promises, and the command
// bench/reliability publishes them.
//
// # Vocabulary
//
//   - A case is one way to break a training of two ranks on two hosts.
//   - The strike is the moment of it. What was reached by then is read from the
//     training's own progress lines, not from what others believe.
//   - Notice is the time from the strike until the engine acts on it: until the
//     attempt is over. Recovery is the time from there until a step is reported
//     that had not been reached at the strike.
//   - Repeated steps are those that were reached before the strike and are
//     computed again.
//   - The reference is an undisturbed training of the same seed. It has learnt
//     the same when the exported model is the same, byte for byte.
package reliability

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/testenv/laptop"
)

const (
	// CheckpointEvery is the interval between checkpoints, in steps.
	CheckpointEvery = 5
	// MostRecovery is the longest time from notice to progress on two cores.
	MostRecovery = 15 * time.Second

	rounds    = 40
	stepDelay = 300 * time.Millisecond
	strikeAt  = 12 // step, in the middle between two checkpoints
)

// Figures are what a whole matrix measured.
type Figures struct {
	Date      time.Time `json:"date"`
	Cores     int       `json:"cores"`
	Rounds    int       `json:"rounds"`
	Interval  int       `json:"checkpoint_every"`
	StepMS    int64     `json:"step_delay_ms"`
	Reference string    `json:"reference"` // SHA-256 of the undisturbed model
	Figures   []Figure  `json:"figures"`
}

// Figure is what one case cost.
type Figure struct {
	Case string `json:"case"`
	Did  string `json:"did"`
	// StruckAt is the last step that was reached when it happened.
	StruckAt int64 `json:"struck_at"`
	// Attempts is how many there were; 1: the ranks never stopped.
	Attempts int     `json:"attempts"`
	Resumed  int64   `json:"resumed"`  // step of the checkpoint that the last attempt started from
	Repeated int64   `json:"repeated"` // steps
	Notice   float64 `json:"notice_s"` // 0: there was nothing to notice
	Recovery float64 `json:"recovery_s"`
	Total    float64 `json:"total_s"` // from the strike to the end of the lifecycle
	Model    string  `json:"model"`   // SHA-256
	Same     bool    `json:"same_model"`
	Failure  string  `json:"failure,omitempty"` // what the training says about it
	// Skipped are checkpoints that were found damaged.
	Skipped []string `json:"skipped,omitempty"`
	// Damaged: the newest checkpoint was, so one more interval is repeated.
	Damaged bool `json:"damaged,omitempty"`
	// Differs is why the model may differ from the reference, where it may.
	Differs string `json:"differs,omitempty"`
	// Error is why there are no figures.
	Error string `json:"error,omitempty"`
}

// Check returns what breaks a promise.
func (f Figure) Check() error {
	var broken []error
	complain := func(format string, arguments ...any) {
		broken = append(broken, fmt.Errorf(f.Case+": "+format, arguments...))
	}
	if f.Error != "" {
		complain("%s", f.Error)
		return errors.Join(broken...)
	}
	if !f.Same && f.Differs == "" {
		complain("the model %s is not that of the undisturbed training", f.Model)
	}
	allowed := int64(CheckpointEvery)
	if f.Damaged {
		allowed *= 2
		if len(f.Skipped) == 0 {
			complain("nobody says that the newest checkpoint is damaged")
		}
	}
	if f.Repeated > allowed {
		complain("%d steps were repeated, more than %d", f.Repeated, allowed)
	}
	if f.Recovery > MostRecovery.Seconds() {
		complain("it took %.1f s from the notice to progress, more than %s", f.Recovery, MostRecovery)
	}
	return errors.Join(broken...)
}

// Check joins the complaints of all figures.
func (f Figures) Check() error {
	var broken []error
	for _, figure := range f.Figures {
		broken = append(broken, figure.Check())
	}
	return errors.Join(broken...)
}

// Config says what to measure and whom to tell.
type Config struct {
	Root string   // of the repository
	Dir  string   // an empty directory
	Only []string // names of cases; none: all
	Log  func(format string, arguments ...any)
}

// Run breaks one training per case, on a stack that is up, and measures. It
// returns an error when there is no reference to compare with; the failure of a
// case is part of its figure.
func Run(ctx context.Context, l *laptop.Laptop, config Config) (Figures, error) {
	m := &matrix{laptop: l, config: config}
	figures := Figures{Date: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Rounds: rounds, Interval: CheckpointEvery, StepMS: stepDelay.Milliseconds()}
	reference, err := m.undisturbed(ctx)
	if err != nil {
		return figures, fmt.Errorf("the undisturbed training: %w", err)
	}
	figures.Reference = reference
	for _, c := range cases() {
		if len(config.Only) > 0 && !slices.Contains(config.Only, c.name) {
			continue
		}
		figure := m.measure(ctx, c)
		figure.Same = figure.Model == reference
		config.Log("%s: %+v", c.name, figure)
		figures.Figures = append(figures.Figures, figure)
		if ctx.Err() != nil {
			return figures, ctx.Err()
		}
	}
	return figures, nil
}

// Names lists the cases.
func Names() (names []string) {
	for _, c := range cases() {
		names = append(names, c.name)
	}
	return names
}
