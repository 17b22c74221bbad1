package monitors

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Gateway writes a world as a gateway would: Parquet files by event time, and
// the watermark last.
type Gateway struct {
	Store artifact.Store
	World World
	// Next is the first day that was not begun; before its first, nobody called.
	Next int

	waiting []happening
	served  time.Time
	writes  int
}

// writesAtOnce bounds the objects in flight.
const writesAtOnce = 16

// Serve writes everything that is known before a moment.
func (g *Gateway) Serve(ctx context.Context, until time.Time) error {
	for g.World.Moment(g.Next).Before(until) {
		g.waiting = append(g.waiting, g.World.day(g.Next)...)
		g.Next++
	}
	answers, labels := map[string][]models.InferenceRow{}, map[string][]models.LabelRow{}
	var later []happening
	for _, h := range g.waiting {
		switch {
		case !h.at.Before(until):
			later = append(later, h)
		case h.answer != nil:
			prefix := models.InferenceHourPrefix(g.World.Endpoint, h.at)
			answers[prefix] = append(answers[prefix], *h.answer)
		default:
			prefix := models.LabelPrefix(g.World.Endpoint, h.at)
			labels[prefix] = append(labels[prefix], *h.label)
		}
	}
	g.waiting = later
	g.writes++
	name := fmt.Sprintf("world-%04d.parquet", g.writes)
	group, writing := errgroup.WithContext(ctx)
	group.SetLimit(writesAtOnce)
	for _, prefix := range slices.Sorted(maps.Keys(answers)) {
		group.Go(func() error { return putRows(writing, g.Store, prefix+name, answers[prefix]) })
	}
	for _, prefix := range slices.Sorted(maps.Keys(labels)) {
		group.Go(func() error { return putRows(writing, g.Store, prefix+name, labels[prefix]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return g.promise(ctx, until)
}

// promise writes the watermark. It never goes stale: days pass in seconds here,
// and a monitor must not think that the gateway is gone because a test waits.
func (g *Gateway) promise(ctx context.Context, until time.Time) error {
	text, err := json.Marshal(models.Watermark{EventTime: until, Written: time.Now().Add(24 * time.Hour).UTC()})
	if err != nil {
		return err
	}
	_, err = artifact.PutBytes(ctx, g.Store, models.WatermarkPrefix(g.World.Endpoint)+"world.json", text, artifact.PutOptions{ContentType: "application/json"})
	if err == nil {
		g.served = until
	}
	return err
}
