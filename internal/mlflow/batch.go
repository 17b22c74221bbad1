package mlflow

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"
)

// What one log-batch request may hold.
const (
	maxBatchMetrics = 1000
	maxBatchPairs   = 100 // parameters, and also tags
	maxBatchTotal   = 1000
	// maxBatchBytes bounds a request to MLflow's documented megabyte, with room
	// for what surrounds the entries.
	maxBatchBytes = 900_000
)

// Batch is data for one run, of any size.
type Batch struct {
	RunID   string
	Metrics []Metric
	Params  map[string]string
	Tags    map[string]string
}

// LogBatch writes parameters, then tags, then metrics, in as many requests as
// MLflow's limits ask for. It is not atomic; after a failure the whole batch
// can be sent again.
func (c *Client) LogBatch(ctx context.Context, b Batch) error {
	const op = "log batch"
	params, tags := tagList(b.Params), tagList(b.Tags)
	if err := checkBatch(op, b.Metrics, params, tags); err != nil {
		return err
	}
	for len(params)+len(tags)+len(b.Metrics) > 0 {
		body := map[string]any{"run_id": b.RunID}
		left := room{maxBatchTotal, maxBatchBytes}
		var p, t []tag
		var m []Metric
		p, params = take(params, maxBatchPairs, &left)
		t, tags = take(tags, maxBatchPairs, &left)
		m, b.Metrics = take(b.Metrics, maxBatchMetrics, &left)
		if len(p) > 0 {
			body["params"] = p
		}
		if len(t) > 0 {
			body["tags"] = t
		}
		if len(m) > 0 {
			body["metrics"] = m
		}
		if err := c.do(ctx, post(op, "run "+b.RunID, "runs/log-batch", body), nil); err != nil {
			return err
		}
	}
	return nil
}

// SetRunTags sets tags of a run, replacing values of equal keys.
func (c *Client) SetRunTags(ctx context.Context, runID string, tags map[string]string) error {
	return c.LogBatch(ctx, Batch{RunID: runID, Tags: tags})
}

// room is what is left of one request.
type room struct{ entries, bytes int }

// sized is an entry of a batch.
type sized interface{ size() int }

// size is an upper bound of the entry's length in JSON, where a character of a
// string takes at most six bytes for each of its own.
func (t tag) size() int { return 30 + escaped(t.Key) + escaped(t.Value) }

func (m Metric) size() int { return 120 + escaped(m.Key) }

func escaped(s string) int {
	n := len(s)
	for i := range len(s) {
		if b := s[i]; b < ' ' || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' || b >= 0x80 {
			n += 5
		}
	}
	return n
}

// take cuts off what still fits, at most limit entries.
func take[T sized](list []T, limit int, left *room) (head, rest []T) {
	n := 0
	for n < min(limit, len(list)) && left.entries > 0 && list[n].size() <= left.bytes {
		left.entries--
		left.bytes -= list[n].size()
		n++
	}
	return list[:n], list[n:]
}

// checkBatch looks at everything before the first request, so that bad data
// leaves nothing half-written.
func checkBatch(op string, metrics []Metric, params, tags []tag) error {
	for _, m := range metrics {
		if err := checkKey(op, fmt.Sprintf("metric %q", m.Key), m.Key); err != nil {
			return err
		}
		if m.Time.UnixMilli() < 0 && !m.Time.IsZero() {
			return refuse(op, fmt.Sprintf("metric %q", m.Key), "its time is before 1970", "give the time of the measurement")
		}
	}
	for _, p := range params {
		if err := checkValue(op, p, maxParam); err != nil {
			return err
		}
	}
	for _, t := range tags {
		if err := checkValue(op, t, maxRunTag); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(op string, t tag, limit int) error {
	if err := checkKey(op, "tag or parameter", t.Key); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(t.Value); n > limit {
		return refuse(op, t.Key, fmt.Sprintf("the value has %d characters; MLflow keeps %d", n, limit),
			"store it as an artifact and write its URI here")
	}
	return nil
}

// MetricHistory returns all points of a metric, by step and then time. A run
// or metric that does not exist has none: MLflow does not tell them apart.
func (c *Client) MetricHistory(ctx context.Context, runID, key string) ([]Metric, error) {
	// Some servers return nothing at all without max_results.
	query := url.Values{"run_id": {runID}, "metric_key": {key}, "max_results": {strconv.Itoa(25000)}}
	var history []Metric
	for {
		var out struct {
			Metrics []Metric `json:"metrics"`
			Next    string   `json:"next_page_token"`
		}
		if err := c.do(ctx, get("get metric history", key+" of run "+runID, "metrics/get-history", query), &out); err != nil {
			return nil, err
		}
		history = append(history, out.Metrics...)
		if out.Next == "" || len(out.Metrics) == 0 {
			break
		}
		query.Set("page_token", out.Next)
	}
	slices.SortStableFunc(history, func(a, b Metric) int {
		if a.Step != b.Step {
			return int(min(max(a.Step-b.Step, -1), 1))
		}
		return a.Time.Compare(b.Time)
	})
	return history, nil
}
