package accel

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

type inventoryFunc func() ([]models.Device, error)

func (f inventoryFunc) Devices(context.Context) ([]models.Device, error) { return f() }

func TestJoinSortsAndNeverHidesAFailure(t *testing.T) {
	ctx := context.Background()
	gpu := inventoryFunc(func() ([]models.Device, error) { return []models.Device{{UUID: "GPU-1"}}, nil })
	got, err := Join(Virtual{Node: "n", Count: 11}, gpu).Devices(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 12 || got[0].UUID != "GPU-1" || !slices.IsSortedFunc(got, func(a, b models.Device) int {
		if a.UUID < b.UUID {
			return -1
		}
		return 1
	}) {
		t.Errorf("got %v, want 12 devices in order of UUID", got)
	}

	broken := errors.New("driver gone")
	failing := inventoryFunc(func() ([]models.Device, error) { return nil, broken })
	if got, err := Join(gpu, failing).Devices(ctx); !errors.Is(err, broken) || got != nil {
		t.Errorf("got %v, %v; one failing probe must fail the whole inventory", got, err)
	}
	if _, err := Join(gpu, gpu).Devices(ctx); err == nil {
		t.Error("the same device twice was accepted")
	}
	none, err := Join().Devices(ctx)
	if err != nil || none == nil || len(none) != 0 {
		t.Errorf("got %v, %v; no inventory means an empty list", none, err)
	}
}

// watchedInventory tells one event, or fails.
type watchedInventory struct {
	Virtual
	event Event
	fails error
}

func (w watchedInventory) Watch(ctx context.Context, report func(Event)) error {
	if w.fails != nil {
		return w.fails
	}
	report(w.event)
	<-ctx.Done()
	return nil
}

func (w watchedInventory) Measure(context.Context) ([]Figures, error) {
	return []Figures{{UUID: w.event.UUIDs[0]}}, w.fails
}

func TestJoinWatchesAndMeasuresAll(t *testing.T) {
	a, b := watchedInventory{event: Event{UUIDs: []string{"a"}}}, watchedInventory{event: Event{UUIDs: []string{"b"}}}
	all := Join(a, inventoryFunc(nil), b)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	heard := map[string]bool{}
	if err := all.(Watcher).Watch(ctx, func(e Event) {
		heard[e.UUIDs[0]] = true
		if len(heard) == 2 {
			cancel()
		}
	}); err != nil || len(heard) != 2 {
		t.Errorf("heard %v, %v", heard, err)
	}
	if figures, err := all.(Measurer).Measure(t.Context()); err != nil || len(figures) != 2 {
		t.Errorf("measured %v, %v", figures, err)
	}
	broken := errors.New("driver gone")
	failing := watchedInventory{event: a.event, fails: broken}
	if err := Join(a, failing).(Watcher).Watch(t.Context(), func(Event) {}); !errors.Is(err, broken) {
		t.Errorf("got %v; one watcher that fails ends the whole watch", err)
	}
	if _, err := Join(a, failing).(Measurer).Measure(t.Context()); !errors.Is(err, broken) {
		t.Errorf("measured: %v", err)
	}
}
