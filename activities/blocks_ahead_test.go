package activities_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// TestAhead: what ended and has not matured is told of, with its requests only.
func TestAhead(t *testing.T) {
	a, b := newLog(t)
	for d := 3; d <= 6; d++ { // the watermark is at the 6th
		for i := range d {
			id := fmt.Sprint(d, "-", i)
			a.row(id, march(d), "3", 0.5, nil)
			a.label(id, march(d), 1)
		}
	}
	a.write()
	request := logRequest()
	request.From = march(4)
	got := scored(t, b, request)
	sameBlocks(t, got.Ahead, []models.Block{{Start: march(5), End: march(6), Requests: 5}})
	if len(got.Blocks) != 1 || got.Blocks[0].Requests != 4 || got.More {
		t.Errorf("%+v", got)
	}
	request.From, request.Max = march(1), 2
	if got = scored(t, b, request); len(got.Ahead) != 0 || !got.More {
		t.Errorf("ahead of a backlog: %+v", got)
	}
}

func TestAtMostSoManyAhead(t *testing.T) {
	a, b := newLog(t)
	a.row("a", march(1), "3", 0.5, nil)
	a.write()
	request := logRequest()
	request.Spec.Block = models.Duration(time.Hour)
	request.Spec.Maturity = 5 * models.Day
	got := scored(t, b, request) // the watermark is five days later
	if len(got.Ahead) != 31 || !got.Ahead[30].End.Equal(march(6)) || !got.Ahead[0].Start.Equal(march(6).Add(-31*time.Hour)) {
		t.Errorf("%d ahead: %+v", len(got.Ahead), got.Ahead)
	}
}

// TestRowBlocks: five requests make a block, in the order of their event times,
// with all that share the last one's.
func TestRowBlocks(t *testing.T) {
	a, b := newLog(t)
	at := march(1).Add(22 * time.Hour)
	n := 0
	add := func(count int, at time.Time, version string) {
		for range count {
			n++
			id := fmt.Sprint("r", n)
			a.row(id, at, version, 0.5, nil)
			a.label(id, at, 1)
		}
	}
	add(3, at, "3")
	add(4, at.Add(time.Minute), "2") // another version's
	add(4, at.Add(time.Hour), "3")   // ties: the first block has seven
	add(4, at.Add(5*time.Hour), "3") // in the next day
	add(1, at.Add(6*time.Hour), "3")
	add(4, at.Add(7*time.Hour), "3")                 // no block yet
	a.row("r20", at.Add(7*time.Hour), "3", 0.5, nil) // a copy makes none of them one
	a.write()
	request := logRequest()
	request.Spec.Block, request.Spec.BlockRows = 0, 5
	got := scored(t, b, request)
	half := func(from, to time.Time, requests int64) models.Block {
		return models.Block{Start: from, End: to, Requests: requests, Labelled: requests, Loss: ln(2), Rate: 1, Predicted: 0.5}
	}
	first, second := at.Add(time.Hour+time.Microsecond), at.Add(6*time.Hour+time.Microsecond)
	sameBlocks(t, got.Blocks, []models.Block{half(march(1), first, 7), half(first, second, 5)})
	sameBlocks(t, got.Final, got.Blocks) // the watermark is at the 6th
	if got.More || len(got.Ahead) != 0 {
		t.Errorf("%+v", got)
	}

	request.Max = 1
	if got = scored(t, b, request); len(got.Blocks) != 1 || !got.More {
		t.Errorf("one at a time: %+v", got)
	}
	request.From, request.Open = got.Blocks[0].End, []models.OpenBlock{{Start: march(1), End: got.Blocks[0].End}}
	got = scored(t, b, request)
	sameBlocks(t, got.Blocks, []models.Block{half(first, second, 5)})
	if len(got.Final) != 2 || got.Final[0].Requests != 7 {
		t.Errorf("%+v", got.Final)
	}

	// What the watermark has not passed is no block: more may come.
	a.watermark("gw-1", models.Watermark{EventTime: second.Add(-time.Microsecond), Written: b.Now()})
	request = logRequest()
	request.Spec.Block, request.Spec.BlockRows, request.Spec.Maturity = 0, 5, models.Duration(time.Hour)
	got = scored(t, b, request)
	if len(got.Blocks) != 1 || len(got.Ahead) != 0 {
		t.Errorf("before the watermark: %+v", got)
	}
	a.watermark("gw-1", models.Watermark{EventTime: second, Written: b.Now()})
	if got = scored(t, b, request); len(got.Ahead) != 1 || got.Ahead[0].Requests != 5 || got.Ahead[0].Labelled != 0 {
		t.Errorf("at the watermark: %+v", got)
	}
}

// TestRowBlocksWaitForWholeHours: a folder of a day may hold requests that are
// later than those of an hour that is read after it.
func TestRowBlocksWaitForWholeHours(t *testing.T) {
	r, b := newReplay(t)
	rows := func(hour, n int) (rows []models.InferenceRow) {
		for i := range n {
			rows = append(rows, models.InferenceRow{
				ID: fmt.Sprint(hour, "-", i), EventTime: march(1).Add(time.Duration(hour)*time.Hour + time.Duration(i)*time.Minute).UnixMicro(),
				Version: "3", Status: 200, Outputs: `{"p":[0.5]}`,
			})
		}
		return rows
	}
	r.put(models.InferencePrefix(endpoint, march(1))+"a.parquet", encode(t, rows(10, 4)))
	r.put(models.InferenceHourPrefix(endpoint, march(1).Add(5*time.Hour))+"a.parquet", encode(t, rows(5, 3)))
	request := logRequest()
	request.Spec.Block, request.Spec.BlockRows = 0, 4
	got := scored(t, b, request)
	if len(got.Blocks) != 1 || got.Blocks[0].Requests != 4 || !got.Blocks[0].End.Equal(march(1).Add(10*time.Hour+time.Microsecond)) {
		t.Errorf("%+v", got.Blocks)
	}
}

func TestNegativeSpansAreRefused(t *testing.T) {
	_, b := newLog(t)
	for _, change := range []func(*models.MonitorSpec){
		func(s *models.MonitorSpec) { s.BlockRows = -1 }, func(s *models.MonitorSpec) { s.Maturity = -1 },
		func(s *models.MonitorSpec) { corrections := models.Duration(-1); s.Corrections = &corrections },
	} {
		request := logRequest()
		change(&request.Spec)
		_, err := b.ScoreBlocks(t.Context(), request)
		wantFailure(t, err, models.KindInvalidSpec, "monitor.block_rows", endpoint)
	}
}

// TestADamagedLogIsNamed: a file that was cut short, and one that vanished after
// it was listed.
func TestADamagedLogIsNamed(t *testing.T) {
	r, b := newReplay(t)
	r.day(march(1), 40, time.Hour)
	key := models.InferenceHourPrefix(endpoint, march(1)) + "gw-1.parquet"
	whole, _, err := artifact.GetBytes(t.Context(), r.store, key, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	r.put(key, whole[:len(whole)-100])
	_, err = b.ScoreBlocks(t.Context(), blocksRequest())
	wantFailure(t, err, models.KindInvalidSpec, "gw-1.parquet", "damaged")

	b.Store = vanishing{r.store, key}
	_, err = b.ScoreBlocks(t.Context(), blocksRequest())
	wantFailure(t, err, models.KindInvalidSpec, "gw-1.parquet", "deleted while the log was read", "keep the log")
}

// vanishing lists an object that is gone when it is read.
type vanishing struct {
	artifact.Store
	key string
}

func (v vanishing) Get(ctx context.Context, key string) (io.ReadCloser, artifact.Info, error) {
	if key == v.key {
		return nil, artifact.Info{}, &artifact.Error{Op: "get", URI: artifact.URI(v.Store, key), Class: artifact.ErrNotFound}
	}
	return v.Store.Get(ctx, key)
}
