package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/models"
)

// servedLog is what the gateways wrote about an endpoint: the inference log,
// the labels, and how far the log is complete.
type servedLog struct {
	store artifact.Store
	now   func() time.Time // wall clock; nil: time.Now
}

// parquetSuffix marks the log's files; others are left alone.
const parquetSuffix = ".parquet"

const (
	// logReads and logBytes bound the files in flight, and so the memory. A file
	// that is larger is read alone.
	logReads = 8
	logBytes = 64 << 20
	// maxWatermark bounds one watermark object.
	maxWatermark = 64 << 10
)

// watermark is how far the gateways say that the log is complete; see
// dataset.Watermark.
func (l servedLog) watermark(ctx context.Context, endpoint string) (time.Time, error) {
	prefix := models.WatermarkPrefix(endpoint)
	objects, err := l.store.List(ctx, prefix)
	if err != nil {
		return time.Time{}, unavailable(prefix, "the gateways' watermarks can't be listed", err)
	}
	marks := make([]models.Watermark, len(objects))
	for i, object := range objects {
		data, _, err := artifact.GetBytes(ctx, l.store, object.Key, maxWatermark)
		if err != nil {
			return time.Time{}, unavailable(object.Key, "the watermark can't be read", err)
		}
		if err := json.Unmarshal(data, &marks[i]); err != nil {
			return time.Time{}, unavailable(object.Key, "the watermark is no JSON", err)
		}
	}
	now := time.Now
	if l.now != nil {
		now = l.now
	}
	return dataset.Watermark(marks, now()), nil
}

// firstHour is the first hour of the log that was written since a moment of
// the wall clock; zero when there is none yet.
func (l servedLog) firstHour(ctx context.Context, endpoint string, since time.Time) (time.Time, error) {
	root := models.InferenceRoot(endpoint) + "dt="
	objects, err := l.store.List(ctx, root)
	if err != nil {
		return time.Time{}, unavailable(root, "the inference log can't be listed", err)
	}
	for _, object := range objects {
		if !strings.HasSuffix(object.Key, parquetSuffix) || object.Modified.Before(since) {
			continue
		}
		from, _, err := folderOf(models.InferenceRoot(endpoint), object.Key)
		return from, err
	}
	return time.Time{}, nil
}

// folderOf is the span of event time of an object's folders, a day or an hour.
func folderOf(root, key string) (from, to time.Time, err error) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(key, root+"dt="), "/")
	day, err := time.Parse(time.DateOnly, name)
	if err != nil {
		return from, to, &models.Error{
			Kind: models.KindInvalidSpec, Subject: key, Message: "the inference log has a directory that is no day",
			Hint: "move it away; days are written dt=YYYY-MM-DD", Cause: err,
		}
	}
	folder, _, _ := strings.Cut(rest, "/")
	if text, ok := strings.CutPrefix(folder, "hour="); ok {
		if hour, err := strconv.Atoi(text); err == nil && hour >= 0 && hour < 24 {
			from = day.Add(time.Duration(hour) * time.Hour)
			return from, from.Add(time.Hour), nil
		}
	}
	return day, day.Add(models.Day.Std()), nil
}

// logSpan is a part of the log: what was answered from a moment on, and what of
// it was known at another.
type logSpan struct{ from, known time.Time }

// logFile is one file of the log.
type logFile struct {
	uri  string
	etag string
	size int64
	// The rows' event times are in [from, to); of a file of labels, when they
	// became known.
	from, to time.Time
}

// touches reports whether a file with answers may hold some of a block.
func (f logFile) touches(b models.OpenBlock) bool { return f.from.Before(b.End) && f.to.After(b.Start) }

// answerFiles lists the files with answers of any of the blocks, by time.
func (l servedLog) answerFiles(ctx context.Context, endpoint string, blocks []models.OpenBlock) ([]logFile, error) {
	var days []time.Time
	for _, b := range blocks {
		days = append(days, dataset.Days(b.Start, b.End)...)
	}
	return l.list(ctx, days, func(day time.Time) string { return models.InferencePrefix(endpoint, day) }, func(_ time.Time, object artifact.Info) (logFile, bool, error) {
		from, to, err := folderOf(models.InferenceRoot(endpoint), object.Key)
		file := logFile{uri: artifact.URI(l.store, object.Key), etag: object.ETag, size: object.Size, from: from, to: to}
		return file, slices.ContainsFunc(blocks, file.touches), err
	})
}

// labelFiles lists the files with outcomes that became known in any of the
// spans.
func (l servedLog) labelFiles(ctx context.Context, endpoint string, spans []logSpan) ([]logFile, error) {
	var days []time.Time
	for _, span := range spans {
		days = append(days, dataset.Days(span.from, span.known.Add(time.Microsecond))...)
	}
	return l.list(ctx, days, func(day time.Time) string { return models.LabelPrefix(endpoint, day) }, func(day time.Time, object artifact.Info) (logFile, bool, error) {
		return logFile{uri: artifact.URI(l.store, object.Key), etag: object.ETag, size: object.Size, from: day, to: day.Add(models.Day.Std())}, true, nil
	})
}

// list lists the folders of days at once and keeps the files that want wants.
func (l servedLog) list(ctx context.Context, days []time.Time, prefix func(time.Time) string, want func(time.Time, artifact.Info) (logFile, bool, error)) ([]logFile, error) {
	slices.SortFunc(days, time.Time.Compare)
	days = slices.CompactFunc(days, time.Time.Equal)
	found := make([][]logFile, len(days))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(logReads)
	for i, day := range days {
		group.Go(func() error {
			objects, err := l.store.List(ctx, prefix(day))
			if err != nil {
				return unavailable(prefix(day), "the log can't be listed", err)
			}
			for _, object := range objects {
				file, wanted, err := want(day, object)
				switch {
				case !strings.HasSuffix(object.Key, parquetSuffix):
				case err != nil:
					return err
				case wanted:
					found[i] = append(found[i], file)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// eachFile reads files, some at once. read gets the file's place in the list.
func eachFile(ctx context.Context, files []logFile, read func(ctx context.Context, i int, f logFile) error) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(logReads)
	memory := semaphore.NewWeighted(logBytes)
	for i, f := range files {
		size := min(f.size, logBytes)
		if memory.Acquire(groupCtx, size) != nil {
			break // another file's error is the reason
		}
		group.Go(func() error {
			defer memory.Release(size)
			err := read(groupCtx, i, f)
			recordProgress(ctx, f.uri)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// scan gives the rows of a file to a function, batch by batch.
func (l servedLog) scan(ctx context.Context, f logFile, columns []dataset.Field, each func(*parquetio.Batch) error) error {
	file, err := openParquet(ctx, l.store, models.Partition{URI: f.uri, ETag: f.etag, Size: f.size})
	if errors.Is(err, artifact.ErrNotFound) {
		return &models.Error{
			Kind: models.KindInvalidSpec, Subject: f.uri, Message: "the file was deleted while the log was read", Cause: err,
			Hint: "restore it, and keep the log for as long as labels are waited for and corrected",
		}
	}
	if err != nil {
		return err
	}
	if err := cmp.Or(file.Scan(ctx, columns, each), file.Close()); err != nil {
		return unreadable(f.uri, err)
	}
	return nil
}

// labelTask says which labels there are; classes: 0, not known.
type labelTask struct {
	task    models.Task
	classes int
}

// scanOutcomes gives the outcomes of a file to a function, some at once, and
// leaves out what is none of the task's. The list is good until the function
// returns.
func (l servedLog) scanOutcomes(ctx context.Context, f logFile, labels labelTask, each func([]dataset.Outcome)) error {
	var outcomes []dataset.Outcome
	return l.scan(ctx, f, []dataset.Field{
		{Name: "id", Type: dataset.TypeString}, {Name: "label", Type: dataset.TypeFloat64},
		{Name: "label_time", Type: dataset.TypeTimestamp}, {Name: "time", Type: dataset.TypeTimestamp},
	}, func(b *parquetio.Batch) error {
		outcomes = outcomes[:0]
		for row := range b.Rows {
			if label, ok := b.Number(1, row); ok && dataset.KnowsLabel(labels.task, labels.classes, label) {
				outcomes = append(outcomes, dataset.Outcome{ID: dataset.NewID(b.Bytes(0, row)), Label: label, LabelTime: b.Int(2, row), Time: b.Int(3, row)})
			}
		}
		each(outcomes)
		return nil
	})
}
