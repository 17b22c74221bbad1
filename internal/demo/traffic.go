package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/models"
)

// request is one row of the source turned into traffic: features in, and the
// outcome that becomes known later.
type request struct {
	id        string
	at        time.Time
	features  map[string]any
	label     float64
	labelTime time.Time
}

// traffic is a span of requests in event time, and the labels by day.
type traffic struct {
	days  []day
	total int
}

// day is one day of event time: the requests made on it, and the labels that
// became known on it.
type day struct {
	start    time.Time
	requests []request
	labels   []request
}

// loadTraffic reads the rows of a directory of Parquet partitions from a
// moment on and keeps about target of them, chosen by the hash of their key, so
// that every run asks the same.
func loadTraffic(ctx context.Context, dir string, data models.DataSpec, from time.Time, target int) (*traffic, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no Parquet files in %s to replay", dir)
	}
	slices.Sort(paths)
	var all []request
	for _, path := range paths {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		rows, err := readRequests(path, data, from)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, rows...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no rows from %s on in %s", from.Format(time.DateOnly), dir)
	}
	share := float64(target) / float64(len(all))
	kept := slices.DeleteFunc(all, func(r request) bool { return !sampled(r.id, share) })
	slices.SortFunc(kept, func(a, b request) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	return byDay(kept), nil
}

// sampled keeps a stable share of the keys.
func sampled(id string, share float64) bool {
	h := fnv.New64a()
	_, _ = io.WriteString(h, id) // a hash never fails
	return float64(mix(h.Sum64())>>11)/(1<<53) < share
}

// mix spreads FNV's weak high bits (the finaliser of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func byDay(requests []request) *traffic {
	t := &traffic{total: len(requests)}
	first := requests[0].at.UTC().Truncate(24 * time.Hour)
	index := func(at time.Time) int { return int(at.UTC().Sub(first) / (24 * time.Hour)) }
	t.days = make([]day, index(requests[len(requests)-1].at)+1)
	for i := range t.days {
		t.days[i].start = first.AddDate(0, 0, i)
	}
	for _, r := range requests {
		t.days[index(r.at)].requests = append(t.days[index(r.at)].requests, r)
		if known := index(r.labelTime); known < len(t.days) {
			t.days[known].labels = append(t.days[known].labels, r)
		}
	}
	return t
}

func readRequests(path string, data models.DataSpec, from time.Time) ([]request, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	parsed, err := parquet.OpenFile(file, info.Size())
	if err != nil {
		return nil, err
	}
	reader := parquet.NewGenericReader[map[string]any](parsed, parsed.Schema())
	defer reader.Close()
	var found []request
	rows := make([]map[string]any, 1024)
	for {
		for i := range rows {
			rows[i] = map[string]any{}
		}
		n, err := reader.Read(rows)
		for _, row := range rows[:n] {
			r, ok := toRequest(row, data)
			if ok && !r.at.Before(from) {
				found = append(found, r)
			}
		}
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func toRequest(row map[string]any, data models.DataSpec) (request, bool) {
	at, okAt := timeOf(row[data.Time])
	known, okKnown := timeOf(row[cmp.Or(data.LabelTime, data.Time)])
	id, okID := row[data.Key].(string)
	label, okLabel := numberOf(row[data.Label])
	if !okAt || !okKnown || !okID || !okLabel {
		return request{}, false
	}
	features := make(map[string]any, len(data.Features))
	for _, name := range data.Features {
		features[name] = row[name]
	}
	return request{id: id, at: at, features: features, label: label, labelTime: known}, true
}

func timeOf(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v.UTC(), true
	case int64:
		return time.UnixMicro(v).UTC(), true
	default:
		return time.Time{}, false
	}
}

func numberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case int32:
		return float64(v), true
	case int64:
		return float64(v), true
	case float32:
		return float64(v), true
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	default:
		return 0, false
	}
}
