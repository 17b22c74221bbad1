package activities

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/checks"
	"github.com/mainspring-ml/mainspring/internal/dataset/flatjson"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// trafficBytes bounds what is read of a log: of more, some files are drawn.
	trafficBytes = 256 << 20
	// trafficRows are profiled at once.
	trafficRows = 4096
	// shiftBins are what numbers are compared in.
	shiftBins = 16
)

// traffic compares what the endpoint was asked in the whole window with the
// training rows; nil: it was asked nothing, with the reason.
func (w *preparing) traffic(ctx context.Context, all joined) (*checks.Traffic, string, error) {
	if w.Served == nil {
		return nil, "no champion is served yet", nil
	}
	train, test := dataset.Spans(w.Data)
	log := servedLog{store: w.store}
	files, err := log.answerFiles(ctx, w.Served.Endpoint, []models.OpenBlock{{Start: train.From, End: test.To}})
	if err != nil {
		return nil, "", err
	}
	asked := &askedProfile{preparing: w, columns: askedAs(all.Columns)}
	found, err := asked.read(ctx, log, atMost(files, trafficBytes))
	if err != nil {
		return nil, "", err
	}
	traffic := &checks.Traffic{Endpoint: w.Served.Endpoint, Version: w.Served.Version, Requests: asked.requests.Load()}
	if traffic.Requests == 0 {
		return nil, "endpoint " + w.Served.Endpoint + " has logged no request to version " + w.Served.Version + " in the window", nil
	}
	for _, c := range asked.columns {
		f := checks.ServedFeature{Column: c.Name}
		for _, joined := range all.Served {
			if joined.Column == c.Name {
				f.Joined, f.Differ, f.Rows = joined.Joined, joined.Differ, joined.Rows
			}
		}
		f.Shift, f.NoShift = distance(all.profile.Train.Column(c.Name), found.Train.Column(c.Name))
		traffic.Features = append(traffic.Features, f)
	}
	return traffic, "", nil
}

// askedAs are the features as requests have them: JSON knows texts and numbers.
func askedAs(columns []models.Column) (features []models.Column) {
	for _, c := range columns {
		if c.Role != dataset.RoleFeature {
			continue
		}
		if c.Type != dataset.TypeString {
			c.Type = dataset.TypeFloat64
		}
		features = append(features, c)
	}
	return features
}

// atMost is as many files as have so many bytes, the same ones wherever they are
// drawn.
func atMost(files []logFile, bytes int64) []logFile {
	total := int64(0)
	for _, f := range files {
		total += f.size
	}
	if total <= bytes {
		return files
	}
	order := slices.Clone(files)
	slices.SortFunc(order, func(a, b logFile) int {
		return cmp.Compare(artifact.Digest([]byte(a.uri)), artifact.Digest([]byte(b.uri)))
	})
	kept := order[:0]
	for _, f := range order {
		if bytes -= f.size; bytes < 0 {
			break
		}
		kept = append(kept, f)
	}
	slices.SortFunc(kept, func(a, b logFile) int { return strings.Compare(a.uri, b.uri) })
	return kept
}

// askedProfile profiles a log's inputs.
type askedProfile struct {
	*preparing
	columns  []models.Column
	requests atomic.Int64
}

// read profiles some files. A few passes share them, so that no more profiles
// than these are in memory.
func (a *askedProfile) read(ctx context.Context, log servedLog, files []logFile) (profile.Profile, error) {
	groups := make([][]logFile, min(len(files), logReads))
	for i, f := range files {
		groups[i*len(groups)/len(files)] = append(groups[i*len(groups)/len(files)], f)
	}
	passes := make([]*profile.Pass, len(groups))
	err := each(ctx, len(groups), func(ctx context.Context, i int) (err error) {
		// Whatever the spec asks of rows is not asked of requests.
		passes[i], err = profile.NewPass(profile.Plan{Spec: models.DataSpec{Columns: a.Data.Columns}, Columns: a.columns})
		for _, f := range groups[i] {
			if err != nil {
				break
			}
			err = a.readFile(ctx, log, f, passes[i])
			recordProgress(ctx, f.uri)
		}
		return err
	})
	if err != nil || len(passes) == 0 {
		return profile.Profile{}, err
	}
	for _, next := range passes[1:] {
		passes[0].Append(next)
	}
	return passes[0].Finish().Profile, nil
}

func (a *askedProfile) readFile(ctx context.Context, log servedLog, f logFile, pass *profile.Pass) error {
	names := make([]string, len(a.columns))
	for i, c := range a.columns {
		names[i] = c.Name
	}
	inputs, table, rows := inputsOf(names), a.empty(), 0
	flush := func() error {
		if rows == 0 {
			return nil
		}
		err := pass.Add(dataset.Chunk{First: 1, Table: table}, nil)
		a.requests.Add(int64(rows))
		table, rows = a.empty(), 0
		return err
	}
	err := log.scan(ctx, f, askedColumns(), func(b *parquetio.Batch) error {
		for row := range b.Rows {
			if !answeredBy(b, row, a.Served.Version) {
				continue
			}
			inputs.Read(b.Bytes(askedInputs, row))
			for i := range table.Series {
				appendAsked(&table.Series[i], inputs.List(i))
			}
			rows++
		}
		if rows >= trafficRows {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

func (a *askedProfile) empty() (t dataset.Table) {
	for _, c := range a.columns {
		t.Series = append(t.Series, dataset.Series{Name: c.Name, Type: c.Type, Nulls: []bool{}})
	}
	return t
}

// appendAsked takes over the first value of an input; another kind of value than
// the feature's is none.
func appendAsked(s *dataset.Series, list []flatjson.Cell) {
	var cell flatjson.Cell
	if len(list) > 0 {
		cell = list[0]
	}
	number, text, none := 0.0, "", true
	switch cell.Kind {
	case flatjson.Number:
		number, none = cell.Number, s.Type == dataset.TypeString
	case flatjson.True, flatjson.False:
		none = s.Type == dataset.TypeString
		if cell.Kind == flatjson.True {
			number = 1
		}
	case flatjson.Text:
		text, none = string(cell.Text), s.Type != dataset.TypeString
	case flatjson.Null, flatjson.Other:
	}
	s.Nulls = append(s.Nulls, none)
	switch {
	case s.Type != dataset.TypeString && none:
		s.Floats = append(s.Floats, 0)
	case s.Type != dataset.TypeString:
		s.Floats = append(s.Floats, number)
	case none:
		s.Strings = append(s.Strings, "")
	default:
		s.Strings = append(s.Strings, text)
	}
}

// distance is the Jensen-Shannon distance of a feature's requests from its
// training rows; nil: it can't be said, with the reason.
func distance(rows, asked *profile.Column) (*float64, string) {
	switch {
	case rows == nil || asked == nil:
		return nil, "the feature has no profile"
	case rows.Sensitive:
		return nil, "column \"" + rows.Name + "\" is sensitive: its values are not kept in profiles"
	case asked.Nulls == asked.Rows:
		return nil, "no request that was logged has column \"" + rows.Name + "\""
	case rows.Numbers != nil && asked.Numbers != nil:
		edges := rows.Numbers.Edges(shiftBins)
		d := shift.JensenShannon(rows.Numbers.Histogram(edges), asked.Numbers.Histogram(edges))
		return &d, ""
	case rows.Values != nil && asked.Values != nil:
		d := shift.JensenShannon(frequencies(rows, asked))
		return &d, ""
	}
	return nil, "column \"" + rows.Name + "\" has no values on one side"
}

// frequencies are the rows by value; what is not among the frequent ones of
// either is one more value.
func frequencies(rows, asked *profile.Column) (before, now []float64) {
	place := map[string]int{}
	for _, c := range rows.Values.Top {
		place[c.Value] = len(before)
		before = append(before, float64(c.Rows))
	}
	for _, c := range asked.Values.Top {
		if _, known := place[c.Value]; !known {
			place[c.Value] = len(before)
			before = append(before, 0)
		}
	}
	now = make([]float64, len(before))
	for _, c := range asked.Values.Top {
		now[place[c.Value]] = float64(c.Rows)
	}
	rest := func(c *profile.Column, counted []float64) float64 {
		left := float64(c.Rows - c.Nulls)
		for _, n := range counted {
			left -= n
		}
		return max(0, left)
	}
	return append(before, rest(rows, before)), append(now, rest(asked, now))
}
