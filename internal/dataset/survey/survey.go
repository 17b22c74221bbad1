// Package survey sends all rows of a partition through a profile's pass, on
// several processors where its groups allow it.
package survey

import (
	"context"
	"sync"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
)

// Source is a partition of which groups can be read alone, side by side.
type Source interface {
	// Chunks gives the named columns of some groups to a function.
	Chunks(ctx context.Context, groups []int, names []string, each func(dataset.Chunk) error) error
}

// Survey is what is read, and how.
type Survey struct {
	Plan   profile.Plan
	Source Source
	// Groups are the rows of each group that is read, by its number; a negative
	// number of rows leaves it out.
	Groups []int64
	// Sides says where rows go; nil: all train. It is called for several chunks at
	// once.
	Sides func(dataset.Table) []profile.Side
	// Workers read side by side.
	Workers int
}

// portionRows is about how many rows one pass sees. Portions depend on the
// groups alone, and are joined in their order, so that the number of workers
// changes nothing.
const portionRows = 256 << 10

// portions divide the groups.
func (s Survey) portions() [][]int {
	var all [][]int
	var portion []int
	rows := int64(0)
	for g, n := range s.Groups {
		if n < 0 {
			continue
		}
		portion, rows = append(portion, g), rows+n
		if rows >= portionRows {
			all, portion, rows = append(all, portion), nil, 0
		}
	}
	if len(portion) > 0 {
		all = append(all, portion)
	}
	return all
}

// Run reads all groups. It stops at the first error.
func (s Survey) Run(ctx context.Context) (profile.Result, error) {
	whole, err := profile.NewPass(s.Plan)
	if err != nil {
		return profile.Result{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	portions := s.portions()
	done := make([]chan *profile.Pass, len(portions))
	for i := range done {
		done[i] = make(chan *profile.Pass, 1)
	}
	next := make(chan int)
	var working sync.WaitGroup
	for range max(1, min(s.Workers, len(portions))) {
		working.Go(func() {
			for i := range next {
				pass, err := s.read(ctx, portions[i])
				if err != nil {
					cancel(err)
				}
				done[i] <- pass
			}
		})
	}
	go func() {
		defer close(next)
		for i := range portions {
			next <- i
		}
	}()
	for i := range done {
		if pass := <-done[i]; pass != nil {
			whole.Append(pass)
		}
	}
	working.Wait()
	if err := context.Cause(ctx); err != nil {
		return profile.Result{}, err
	}
	return whole.Finish(), nil
}

func (s Survey) read(ctx context.Context, groups []int) (*profile.Pass, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	pass, err := profile.NewPass(s.Plan)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(s.Plan.Columns))
	for i, c := range s.Plan.Columns {
		names[i] = c.Name
	}
	return pass, s.Source.Chunks(ctx, groups, names, func(chunk dataset.Chunk) error {
		var sides []profile.Side
		if s.Sides != nil {
			sides = s.Sides(chunk.Table)
		}
		return pass.Add(chunk, sides)
	})
}
