package gateway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// labelLine is one line of a labels request.
type labelLine struct {
	ID        string          `json:"id"`
	Label     json.RawMessage `json:"label"`
	LabelTime *time.Time      `json:"label_time"`
}

// labels makes labels durable before it answers. A wrong line refuses the
// whole request; a request that failed half-way may be sent again, because the
// last label of an id counts.
func (g *Gateway) labels(w http.ResponseWriter, r *http.Request) {
	e, current, status, err := g.find(r.PathValue("endpoint"))
	if err != nil {
		oip.WriteError(w, status, err.Error())
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, g.config.MaxLabels+1))
	switch {
	case err != nil:
		oip.WriteError(w, http.StatusBadRequest, fmt.Sprintf("the body can't be read: %v", err))
		return
	case int64(len(body)) > g.config.MaxLabels:
		oip.WriteError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes; send fewer labels at once", g.config.MaxLabels))
		return
	}
	rows, err := ParseLabels(body, current.Task, time.Now())
	if err != nil {
		oip.WriteError(w, http.StatusBadRequest, err.Error())
		return
	}
	days := map[string]int{}
	for len(rows) > 0 {
		day := time.UnixMicro(rows[0].LabelTime)
		n := 1
		for n < len(rows) && models.DayKey(time.UnixMicro(rows[n].LabelTime)) == models.DayKey(day) {
			n++
		}
		data, err := encodeParquet(rows[:n])
		if err == nil {
			key := fmt.Sprintf("%s%s-%s-%08d.parquet", models.LabelPrefix(e.name, day), g.config.Name, g.config.Boot, g.labelFiles.Add(1))
			err = g.store.Put(r.Context(), key, data)
		}
		if err != nil {
			oip.WriteError(w, http.StatusServiceUnavailable, fmt.Sprintf("the labels could not be stored; send them again: %v", err))
			return
		}
		days[models.DayKey(day)] = n
		g.labelled.Add(int64(n))
		rows = rows[n:]
	}
	total := 0
	for _, n := range days {
		total += n
	}
	oip.WriteJSON(w, http.StatusOK, struct {
		Labels int            `json:"labels"`
		Days   map[string]int `json:"days"`
	}{total, days})
}

// ParseLabels reads newline-delimited JSON and returns the rows by label time.
// Of several labels of one ID each arrives a microsecond after the one before.
// Errors name the line. No task is binary.
func ParseLabels(body []byte, task models.Task, now time.Time) ([]models.LabelRow, error) {
	var rows []models.LabelRow
	earlier := map[string]int64{} // labels of an ID
	number := 0
	for line := range bytes.Lines(body) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		row, err := parseLabel(line, task, now)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		row.Time += earlier[row.ID] // the last to arrive counts
		earlier[row.ID]++
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf(`no labels; send one object per line, like {"id":"…","label":1,"label_time":"2013-01-01T08:30:00Z"}`)
	}
	slices.SortStableFunc(rows, func(a, b models.LabelRow) int { return cmp.Compare(a.LabelTime, b.LabelTime) })
	return rows, nil
}

func parseLabel(line []byte, task models.Task, now time.Time) (models.LabelRow, error) {
	var label labelLine
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&label); err != nil {
		return models.LabelRow{}, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return models.LabelRow{}, fmt.Errorf("text after the object; write one object per line")
	}
	if label.ID == "" {
		return models.LabelRow{}, fmt.Errorf(`"id" is missing: the id of the request that the label belongs to`)
	}
	value, err := labelValue(label.Label, task)
	if err != nil {
		return models.LabelRow{}, err
	}
	at := now
	if label.LabelTime != nil {
		at = *label.LabelTime
	}
	return models.LabelRow{ID: label.ID, Label: value, LabelTime: at.UnixMicro(), Time: now.UnixMicro()}, nil
}

// labelValue reads a label as the number that metrics count with.
func labelValue(text json.RawMessage, task models.Task) (float64, error) {
	var value any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &value); err != nil {
			return 0, fmt.Errorf(`"label" is no JSON value: %w`, err)
		}
	}
	switch v := value.(type) {
	case nil:
		return 0, fmt.Errorf(`"label" is missing, must be %s`, WantedLabel(task))
	case float64:
		if !KnownLabel(v, task) {
			return 0, fmt.Errorf(`"label" is %v, must be %s`, v, WantedLabel(task))
		}
		return v, nil
	case string:
		hint := ""
		if task == models.TaskMulticlass {
			hint = "; send the place of the class in data.classes, from 0 on, instead of its name"
		}
		return 0, fmt.Errorf(`"label" is the text %.40q, must be %s%s`, v, WantedLabel(task), hint)
	default:
		return 0, fmt.Errorf(`"label" is %.40s, must be %s`, text, WantedLabel(task))
	}
}

// KnownLabel reports whether a number can be a label of the task; none is
// binary.
func KnownLabel(v float64, task models.Task) bool {
	switch task {
	case models.TaskMulticlass:
		return v >= 0 && v <= math.MaxInt32 && v == math.Trunc(v)
	case models.TaskRegression:
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	case models.TaskBinary:
	}
	return v == 0 || v == 1
}

// WantedLabel says in words what KnownLabel wants.
func WantedLabel(task models.Task) string {
	switch task {
	case models.TaskMulticlass:
		return "the number of a class, whole and from 0 on"
	case models.TaskRegression:
		return "a finite number"
	case models.TaskBinary:
	}
	return "0 or 1"
}
