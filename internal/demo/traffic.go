package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
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

// loadTraffic reads the rows of a directory of partitions from a moment on and
// keeps about target of them, chosen by the hash of their key, so that every run
// asks the same.
func loadTraffic(ctx context.Context, dir string, data models.DataSpec, from time.Time, target int) (*traffic, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("nothing to replay: %w", err)
	}
	root := artifact.FileURI(dir)
	files, err := artifact.ListURI(ctx, nil, root) // local files need no store
	if err != nil {
		return nil, fmt.Errorf("nothing to replay: %w", err)
	}
	var all []request
	for _, file := range files {
		if !dataset.IsPartition(data.Format, strings.TrimPrefix(file.URI, root)) {
			continue
		}
		rows, err := readRequests(ctx, models.Partition{URI: file.URI, ETag: file.ETag, Size: file.Size}, data, from)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.URI, err)
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

func readRequests(ctx context.Context, part models.Partition, data models.DataSpec, from time.Time) (found []request, err error) {
	file, err := partition.Open(ctx, nil, data, part)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	names := append([]string{data.Key, data.Time, cmp.Or(data.LabelTime, data.Time), data.Label}, data.Features...)
	err = file.Chunks(ctx, nil, names, func(chunk dataset.Chunk) error {
		for row := range chunk.Table.Rows() {
			if r, ok := toRequest(chunk.Table.Series, row, data); ok && !r.at.Before(from) {
				found = append(found, r)
			}
		}
		return nil
	})
	return found, err
}

// toRequest takes a row of key, time, label's time, label and features.
func toRequest(series []dataset.Series, row int, data models.DataSpec) (request, bool) {
	id, at, known := &series[0], &series[1], &series[2]
	label, ok := series[3].Number(row)
	if !ok || id.IsNull(row) || at.IsNull(row) || known.IsNull(row) || at.Type != dataset.TypeTimestamp || known.Type != dataset.TypeTimestamp {
		return request{}, false
	}
	features := make(map[string]any, len(data.Features))
	for i, name := range data.Features {
		features[name] = valueOf(&series[4+i], row)
	}
	return request{
		id: id.Text(row), at: time.UnixMicro(at.Ints[row]).UTC(), features: features, label: label, labelTime: time.UnixMicro(known.Ints[row]).UTC(),
	}, true
}

// valueOf is a feature as a request holds it.
func valueOf(s *dataset.Series, row int) any {
	switch {
	case s.Absent(row):
		return nil
	case s.Type == dataset.TypeString:
		return s.Strings[row]
	case s.Type == dataset.TypeBool:
		return s.Ints[row] != 0
	case s.Type == dataset.TypeFloat64:
		return s.Floats[row]
	default:
		return s.Ints[row]
	}
}
