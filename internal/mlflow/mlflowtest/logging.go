package mlflowtest

import (
	"cmp"
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

type point struct {
	Key       string          `json:"key"`
	Value     json.RawMessage `json:"value"` // a number, or "NaN" and the like
	Timestamp number          `json:"timestamp"`
	Step      number          `json:"step"`
}

func byStepAndTime(a, b point) int {
	return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Timestamp, b.Timestamp))
}

// stored is what the SQL stores make of an infinity.
func stored(p point) point {
	switch string(p.Value) {
	case `"Infinity"`:
		p.Value = json.RawMessage("1.7976931348623157e308")
	case `"-Infinity"`:
		p.Value = json.RawMessage("-1.7976931348623157e308")
	}
	return p
}

type parameter struct {
	Run string `json:"run_id"`
	pair
}

func (s *Server) logParameter(in parameter) (object, *failure) {
	r, failed := s.activeRun(in.Run)
	if failed != nil {
		return nil, failed
	}
	return nil, r.setParams([]pair{in.pair})
}

// setParams changes nothing when it fails.
func (r *run) setParams(params []pair) *failure {
	for _, p := range params {
		if old, ok := r.params[p.Key]; ok && old != p.Value {
			return invalid("Changing param values is not allowed. Param with key='%s' was already logged with value='%s'"+
				" for run ID='%s'. Attempted logging new value '%s'.", p.Key, old, r.id, p.Value)
		}
	}
	for _, p := range params {
		r.params[p.Key] = p.Value
	}
	return nil
}

type batch struct {
	Run     string  `json:"run_id"`
	Metrics []point `json:"metrics"`
	Params  []pair  `json:"params"`
	Tags    []pair  `json:"tags"`
}

func (b batch) check() *failure {
	const split = "Please split up %s across multiple requests and try again."
	switch {
	case len(b.Metrics) > 1000:
		return invalid("A batch logging request can contain at most 1000 metrics. Got %d metrics. "+split, len(b.Metrics), "metrics")
	case len(b.Params) > 100:
		return invalid("A batch logging request can contain at most 100 params. Got %d params. "+split, len(b.Params), "params")
	case len(b.Tags) > 100:
		return invalid("A batch logging request can contain at most 100 tags. Got %d tags. "+split, len(b.Tags), "tags")
	case len(b.Metrics)+len(b.Params)+len(b.Tags) > 1000:
		return invalid("A batch logging request can contain at most 1000 total items.")
	}
	for _, m := range b.Metrics {
		if !keyAllowed(m.Key) {
			return invalid("Invalid value %q for parameter 'metrics[0].name' supplied", m.Key)
		}
	}
	for _, p := range slices.Concat(b.Params, b.Tags) {
		if !keyAllowed(p.Key) {
			return invalid("Invalid value %q for parameter 'params[0].key' supplied", p.Key)
		}
	}
	return nil
}

// keyAllowed is MLflow's rule for the keys of metrics, parameters and tags.
func keyAllowed(key string) bool {
	return key != "" && utf8.RuneCountInString(key) <= 250 && regexp.MustCompile(`^[/\pL\pN_.\- :]*$`).MatchString(key) &&
		path.Clean(key) == key && key != "." && !strings.HasPrefix(key, "..") && !strings.HasPrefix(key, "/")
}

// checkTag is MLflow's rule for the tags of models and versions.
func checkTag(t pair, limit int) *failure {
	if !keyAllowed(t.Key) || utf8.RuneCountInString(t.Value) > limit {
		return invalid("Invalid value %q for parameter 'key' supplied, or its value is too long", t.Key)
	}
	return nil
}

// logBatch applies parameters, metrics and tags in MLflow's order, not
// atomically.
func (s *Server) logBatch(in batch) (object, *failure) {
	if failed := in.check(); failed != nil {
		return nil, failed
	}
	r, failed := s.activeRun(in.Run)
	if failed != nil {
		return nil, failed
	}
	if failed := r.setParams(in.Params); failed != nil {
		return nil, failed
	}
	for _, m := range in.Metrics {
		m = stored(m)
		same := func(o point) bool {
			return o.Step == m.Step && o.Timestamp == m.Timestamp && string(o.Value) == string(m.Value)
		}
		if !slices.ContainsFunc(r.metrics[m.Key], same) {
			r.metrics[m.Key] = append(r.metrics[m.Key], m)
		}
	}
	for _, t := range in.Tags {
		r.tags[t.Key] = t.Value
	}
	return nil, nil
}

type inputs struct {
	Run      string         `json:"run_id"`
	Datasets []datasetInput `json:"datasets"`
}

func (s *Server) logInputs(in inputs) (object, *failure) {
	r, failed := s.activeRun(in.Run)
	if failed != nil {
		return nil, failed
	}
	for _, d := range in.Datasets {
		if len(d.Dataset.Digest) > 36 {
			return nil, invalid("'digest' exceeds the maximum length of 36 characters")
		}
		same := func(o datasetInput) bool {
			return o.Dataset.Name == d.Dataset.Name && o.Dataset.Digest == d.Dataset.Digest
		}
		if !slices.ContainsFunc(r.datasets, same) {
			r.datasets = append(r.datasets, d)
		}
	}
	return nil, nil
}

type historyQuery struct {
	Run        string `json:"run_id"`
	Key        string `json:"metric_key"`
	MaxResults number `json:"max_results"`
	Token      string `json:"page_token"`
}

// history is empty for an unknown run and, as on servers before the fix of
// mlflow/mlflow#23916, without max_results.
func (s *Server) history(in historyQuery) (object, *failure) {
	r, ok := s.runs[in.Run]
	if !ok {
		return nil, nil
	}
	points := slices.SortedStableFunc(slices.Values(r.metrics[in.Key]), func(a, b point) int {
		return cmp.Or(cmp.Compare(a.Timestamp, b.Timestamp), cmp.Compare(a.Step, b.Step))
	})
	part, next, failed := page(points, in.MaxResults, in.Token)
	if failed != nil {
		return nil, failed
	}
	return object{"metrics": part, "next_page_token": next}, nil
}
