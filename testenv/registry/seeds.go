package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/models"
)

// SeedsConfig says how many seeds to live through, and how.
type SeedsConfig struct {
	Seeds   int
	Strikes int // for each seed
	Slots   int // seeds at once
}

// SeedsFigures are what came of all seeds.
type SeedsFigures struct {
	Seeds   int                        `json:"seeds"`
	Right   int                        `json:"right"`   // seeds that ended as they must
	Calls   int                        `json:"calls"`   // to MLflow, those of undisturbed seeds included
	Strikes int                        `json:"strikes"` // that were carried out
	Missed  int                        `json:"missed"`  // calls that never came
	Table   map[Boundary]map[Fault]int `json:"table"`
	Took    float64                    `json:"took_s"`
	Longest float64                    `json:"longest_s"` // seed
	Wrong   []WrongSeed                `json:"wrong,omitempty"`
}

// WrongSeed is a seed that broke a promise.
type WrongSeed struct {
	Seed    int      `json:"seed"`
	Strikes []string `json:"strikes"`
	Error   string   `json:"error"`
}

// Check returns what breaks a promise. complete also asks for every fault at
// every boundary.
func (f SeedsFigures) Check(complete bool) error {
	var broken []error
	for _, w := range f.Wrong {
		broken = append(broken, fmt.Errorf("seed %d (%v): %s", w.Seed, w.Strikes, w.Error))
	}
	if f.Right != f.Seeds {
		broken = append(broken, fmt.Errorf("%d of %d seeds ended as they must", f.Right, f.Seeds))
	}
	for boundary, faults := range f.Table {
		for _, fault := range Faults() {
			if complete && faults[fault] == 0 {
				broken = append(broken, fmt.Errorf("%q never struck at %s", fault, boundary))
			}
		}
	}
	return errors.Join(broken...)
}

// seedLimit is for one seed, on a machine that does other work as well.
const seedLimit = 10 * time.Minute

// Seeds lives through an undisturbed seed, which says what the boundaries are,
// and then through all others.
func (s *Stack) Seeds(ctx context.Context, config SeedsConfig) (figures SeedsFigures, err error) {
	began := time.Now()
	slots, err := s.openSlots(ctx, "seeds", config.Slots)
	if err != nil {
		return figures, err
	}
	calls, err := slots[0].seed(ctx, "undisturbed", nil)
	if err != nil {
		return figures, fmt.Errorf("the undisturbed seed: %w", err)
	}
	counts := boundariesOf(calls)
	s.config.Log("an undisturbed seed took %s and %d calls at %d boundaries", time.Since(began).Round(100*time.Millisecond), len(calls), len(counts))
	figures = SeedsFigures{Seeds: config.Seeds, Table: map[Boundary]map[Fault]int{}}
	for boundary := range counts {
		figures.Table[boundary] = map[Fault]int{}
	}
	s.live(ctx, slots, plan(counts, config.Seeds, config.Strikes), &figures)
	figures.Took = time.Since(began).Seconds()
	return figures, ctx.Err()
}

// live hands the seeds out to the slots.
func (s *Stack) live(ctx context.Context, slots []*Slot, plans [][]Strike, figures *SeedsFigures) {
	next := make(chan int)
	go func() {
		defer close(next)
		for seed := range plans {
			select {
			case next <- seed:
			case <-ctx.Done():
				return
			}
		}
	}()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, slot := range slots {
		all.Go(func() {
			for seed := range next {
				began := time.Now()
				calls, err := slot.seed(ctx, fmt.Sprintf("seed-%03d", seed), plans[seed])
				mu.Lock()
				figures.add(seed, plans[seed], slot.Front.Struck(), err)
				figures.Calls += len(calls)
				figures.Longest = max(figures.Longest, time.Since(began).Seconds())
				if err != nil {
					s.config.Log("seed %d %v: %v", seed, plans[seed], err)
				} else if figures.Right%20 == 0 {
					s.config.Log("%d seeds ended as they must", figures.Right)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

func (f *SeedsFigures) add(seed int, planned, struck []Strike, err error) {
	for _, strike := range struck {
		f.Table[strike.Boundary][strike.Fault]++
	}
	f.Strikes += len(struck)
	f.Missed += len(planned) - len(struck)
	if err == nil {
		f.Right++
		return
	}
	wrong := WrongSeed{Seed: seed, Error: err.Error()}
	for _, strike := range planned {
		wrong.Strikes = append(wrong.Strikes, strike.String())
	}
	f.Wrong = append(f.Wrong, wrong)
}

// seed lives through two lifecycles of one model under strikes: the first
// version of a model, and one that takes over from it.
func (s *Slot) seed(ctx context.Context, model string, strikes []Strike) (calls []Boundary, err error) {
	ctx, cancel := context.WithTimeout(ctx, seedLimit)
	defer cancel()
	if err := traffic(ctx, s.stack.Store, model, 40, 8); err != nil {
		return nil, err
	}
	s.Front.Expect(strikes)
	results := map[string]models.LifecycleResult{}
	var order []models.LifecycleResult
	for day := 1; day <= 2; day++ {
		key := fmt.Sprint(day)
		result, err := s.Live(ctx, key, specOf(model, day, true))
		switch {
		case err != nil:
			return s.Front.Calls(), fmt.Errorf("lifecycle %d: %w", day, err)
		case !result.Promoted:
			return s.Front.Calls(), fmt.Errorf("lifecycle %d was not promoted: %s", day, result.Reason)
		}
		results[models.LifecycleID(model, key)] = result
		order = append(order, result)
	}
	calls = s.Front.Calls()
	return calls, s.Verify(ctx, model, Expected{Results: results, Aliases: map[string]string{
		models.AliasChampion: order[1].Version, models.AliasPrevious: order[0].Version,
	}})
}

// openSlots opens slots, all at once: a new namespace takes seconds.
func (s *Stack) openSlots(ctx context.Context, name string, n int) ([]*Slot, error) {
	slots := make([]*Slot, n)
	group, ctx := errgroup.WithContext(ctx)
	for i := range slots {
		group.Go(func() (err error) {
			slots[i], err = s.Slot(ctx, fmt.Sprintf("%s-%d", name, i+1))
			return err
		})
	}
	return slots, group.Wait()
}
