package activities

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// servedLog is what the gateways wrote about an endpoint: the inference log,
// the labels, and how far the log is complete.
type servedLog struct {
	store artifact.Store
	now   func() time.Time // wall clock; nil: time.Now
}

const (
	// logReads bounds the files in flight, and so the memory.
	logReads = 8
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

// logSpan is which part of the log is read: answers in [from, to), outcomes in
// [from, known].
type logSpan struct{ from, to, known time.Time }

// logFile is one file of the log.
type logFile struct {
	uri  string
	day  string
	size int64
	// The rows' event times are in [from, to).
	from, to time.Time
}

// answerFiles lists the files with answers of [from, to), by time.
func (l servedLog) answerFiles(ctx context.Context, endpoint string, span logSpan) ([]logFile, error) {
	return l.list(ctx, dataset.Days(span.from, span.to), func(day time.Time, object artifact.Info) (logFile, bool, error) {
		from, to, err := folderOf(models.InferenceRoot(endpoint), object.Key)
		file := logFile{uri: artifact.URI(l.store, object.Key), day: models.DayKey(day), size: object.Size, from: from, to: to}
		return file, from.Before(span.to) && to.After(span.from), err
	}, func(day time.Time) string { return models.InferencePrefix(endpoint, day) })
}

// labelFiles lists the files with outcomes that became known in [from, known].
func (l servedLog) labelFiles(ctx context.Context, endpoint string, span logSpan) ([]logFile, error) {
	return l.list(ctx, dataset.Days(span.from, span.known.Add(time.Microsecond)), func(day time.Time, object artifact.Info) (logFile, bool, error) {
		return logFile{uri: artifact.URI(l.store, object.Key), day: models.DayKey(day), size: object.Size}, true, nil
	}, func(day time.Time) string { return models.LabelPrefix(endpoint, day) })
}

// list lists days at once and keeps the files that want wants.
func (l servedLog) list(ctx context.Context, days []time.Time, want func(time.Time, artifact.Info) (logFile, bool, error), prefix func(time.Time) string) ([]logFile, error) {
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
	for i, f := range files {
		group.Go(func() error {
			err := read(groupCtx, i, f)
			recordProgress(ctx, f.uri)
			return err
		})
	}
	return group.Wait()
}

// outputValues are the first n values of an output as numbers; all of them for
// n = 0. It is false where there are fewer, or one is no number: what is masked
// is null.
func outputValues(outputs, name string, n int) ([]float64, bool) {
	var byName map[string]json.RawMessage
	var values []*float64
	if err := json.Unmarshal([]byte(outputs), &byName); err != nil {
		return nil, false
	}
	if err := json.Unmarshal(byName[name], &values); err != nil || len(values) < max(n, 1) {
		return nil, false
	}
	if n > 0 {
		values = values[:n]
	}
	numbers := make([]float64, len(values))
	for i, v := range values {
		if v == nil {
			return nil, false
		}
		numbers[i] = *v
	}
	return numbers, true
}

func (l servedLog) readOutcomes(ctx context.Context, uri string) ([]dataset.Outcome, error) {
	table, err := readColumns(ctx, l.store, uri, []string{"id", "label", "label_time", "time"})
	if err != nil {
		return nil, err
	}
	ids, labels := table.Column("id"), table.Column("label")
	known, times := table.Column("label_time"), table.Column("time")
	outcomes := make([]dataset.Outcome, table.Rows())
	for row := range outcomes {
		label, ok := labels.Number(row)
		if !ok {
			label = math.NaN()
		}
		outcomes[row] = dataset.Outcome{ID: ids.Strings[row], Label: label, LabelTime: known.Ints[row], Time: times.Ints[row]}
	}
	return outcomes, nil
}
