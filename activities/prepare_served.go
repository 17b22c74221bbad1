package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/division"
	"github.com/mainspring-ml/mainspring/internal/dataset/flatjson"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/models"
)

// servedFeature is how often a feature of a partition's rows differs from what
// the model was asked with for the same key.
type servedFeature struct {
	Column string                `json:"column"`
	Joined int64                 `json:"joined"`
	Differ int64                 `json:"differ"`
	Rows   []models.OffendingRow `json:"rows,omitempty"`
}

// servedJoin holds a partition's rows against the log of the days that they cover. Of
// more rows than maxSampled a sample is joined, drawn by their keys, so that
// memory is bounded; the share that differs is that of all.
type servedJoin struct {
	*preparing
	tables   []division.Taken
	features []string
	mu       sync.Mutex
	rows     map[dataset.ID]*servedRow
}

// servedRow is one row, and what has been found of it: answers may come from
// several files and in any order, and a feature is the same if one of them is.
type servedRow struct {
	table, row int
	seen, same []bool   // by feature
	asked      []string // one of the values that differ, the first in the order of bytes
}

// joinServed returns an entry for each feature that was logged for a row.
func (w *preparing) joinServed(ctx context.Context, file string, tables []division.Taken) ([]servedFeature, error) {
	if w.Served == nil || len(w.Data.Features) == 0 {
		return nil, nil
	}
	j := &servedJoin{preparing: w, tables: tables, features: w.Data.Features, rows: map[dataset.ID]*servedRow{}}
	span, any := j.index()
	if !any {
		return nil, nil
	}
	log := servedLog{store: w.store}
	files, err := log.answerFiles(ctx, w.Served.Endpoint, []models.OpenBlock{span})
	if err != nil {
		return nil, err
	}
	err = eachFile(ctx, files, func(ctx context.Context, _ int, f logFile) error {
		inputs := inputsOf(j.features)
		return log.scan(ctx, f, askedColumns(), func(b *parquetio.Batch) error {
			for row := range b.Rows {
				if answeredBy(b, row, w.Served.Version) {
					j.hold(dataset.NewID(b.Bytes(answerID, row)), inputs, b.Bytes(askedInputs, row))
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return j.count(file), nil
}

// askedInputs is the column of the inputs in askedColumns.
const askedInputs = answerShare

// askedColumns are those that say who answered a request, and the inputs.
func askedColumns() []dataset.Field {
	all := answerColumns()
	return append(all[:answerShare:answerShare], all[answerInputs])
}

func inputsOf(features []string) *flatjson.Reader {
	wants := make([]flatjson.Want, len(features))
	for i, name := range features {
		wants[i] = flatjson.Want{Name: name, Width: 1}
	}
	return flatjson.NewReader(wants...)
}

// index finds the rows by the hash of their keys, and the span of their times.
func (j *servedJoin) index() (span models.OpenBlock, any bool) {
	all := int64(0)
	for _, t := range j.tables {
		all += int64(t.Table.Rows())
	}
	keep := share(all)
	for n, t := range j.tables {
		if t.Table.Rows() == 0 {
			continue
		}
		keys, times := t.Table.Column(j.Data.Key), t.Table.Column(j.Data.Time)
		for row := range t.Table.Rows() {
			key := []byte(keys.Text(row))
			if keys.IsNull(row) || !sampled(key, keep) {
				continue
			}
			j.rows[dataset.NewID(key)] = &servedRow{table: n, row: row}
			at := time.UnixMicro(times.Ints[row]).UTC()
			if !any || at.Before(span.Start) {
				span.Start = at
			}
			if end := at.Add(time.Microsecond); end.After(span.End) {
				span.End = end
			}
			any = true
		}
	}
	return span, any
}

// hold holds the row of a key against the inputs of a request.
func (j *servedJoin) hold(id dataset.ID, inputs *flatjson.Reader, text []byte) {
	r := j.rows[id] // not written while files are read
	if r == nil {
		return
	}
	inputs.Read(text)
	j.mu.Lock()
	defer j.mu.Unlock()
	if r.seen == nil {
		r.seen, r.same, r.asked = make([]bool, len(j.features)), make([]bool, len(j.features)), make([]string, len(j.features))
	}
	for i, name := range j.features {
		list := inputs.List(i)
		if len(list) == 0 {
			continue // not logged: it may be sensitive there
		}
		r.seen[i] = true
		if division.SameAsServed(j.tables[r.table].Table.Column(name), r.row, list[0]) {
			r.same[i] = true
		} else if asked := division.Asked(list[0]); r.asked[i] == "" || asked < r.asked[i] {
			r.asked[i] = asked
		}
	}
}

// count adds up the rows, in their order.
func (j *servedJoin) count(file string) (out []servedFeature) {
	rows := make([]*servedRow, 0, len(j.rows))
	for _, r := range j.rows {
		if r.seen != nil {
			rows = append(rows, r)
		}
	}
	place := func(r *servedRow) int64 { return j.tables[r.table].Places[r.row] }
	slices.SortFunc(rows, func(a, b *servedRow) int { return cmp.Compare(place(a), place(b)) })
	for i, name := range j.features {
		f := servedFeature{Column: name}
		for _, r := range rows {
			if !r.seen[i] {
				continue
			}
			f.Joined++
			if r.same[i] {
				continue
			}
			f.Differ++
			if len(f.Rows) < models.MaxOffendingRows {
				here := models.OffendingRow{File: file, Row: place(r), Value: models.Masked}
				if !j.Data.IsSensitive(name) {
					here.Value = shortened(fmt.Sprintf("%s; %s was served", j.tables[r.table].Table.Column(name).Text(r.row), r.asked[i]), 120)
				}
				f.Rows = append(f.Rows, here)
			}
		}
		if f.Joined > 0 {
			out = append(out, f)
		}
	}
	return out
}

// mergeServed adds what another group of partitions has; the columns are in the
// order of the features.
func mergeServed(features []string, a, b []servedFeature) (out []servedFeature) {
	if len(b) == 0 {
		return a
	}
	byName := make(map[string]servedFeature, len(a))
	for _, f := range a {
		byName[f.Column] = f
	}
	for _, more := range b {
		f := byName[more.Column]
		f.Column, f.Joined, f.Differ = more.Column, f.Joined+more.Joined, f.Differ+more.Differ
		f.Rows = append(slices.Clone(f.Rows), more.Rows[:min(len(more.Rows), models.MaxOffendingRows-len(f.Rows))]...)
		byName[more.Column] = f
	}
	for _, name := range features {
		if f, ok := byName[name]; ok {
			out = append(out, f)
		}
	}
	return out
}
