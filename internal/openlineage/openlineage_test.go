package openlineage

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mainspring-ml/mainspring/models"
)

// specVariable names the spec directory of an OpenLineage checkout.
const specVariable = "MAINSPRING_OPENLINEAGE_SPEC"

// told is an event with everything that the engine tells.
func told(kind models.LineageEventType) models.LineageEvent {
	e := models.LineageEvent{
		Type: kind, At: time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.UTC), RunID: "0198a6e2-8f3c-7a51-9a55-6f1d2c3b4a59", Job: "flight-delay/train",
		ParentRunID: "0198a6e2-8f3c-7a51-9a55-6f1d2c3b4a58", ParentJob: "flight-delay/lifecycle", AsOf: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		Inputs: []models.LineageDataset{{
			URI: "s3://mainspring/snapshots/ab12/manifest.json", Version: "ab12",
			Snapshot: &models.LineageSnapshot{
				Columns: []models.Column{{Name: "distance", Type: "int64", Role: "feature"}, {Name: "passenger", Type: "string", Role: "extra"}},
				Rows:    100, Side: "train", Bytes: 2000, Files: 3,
			},
		}, {URI: "file:///data/flights/"}},
		Outputs: []models.LineageDataset{{URI: "s3://mlflow/1/run-1/artifacts/model", Version: "cd34"}, {
			URI: "s3://mainspring/snapshots/ef56/manifest.json", Version: "ef56", Snapshot: &models.LineageSnapshot{Rows: 7, Bytes: 70, Files: 1},
		}},
	}
	if kind == models.LineageFail {
		e.Error = "train.py ended with exit status 1"
	}
	return e
}

func figures() Figures {
	nulls, distinct, low, high := int64(1), int64(40), 12.5, 3000.0
	return Figures{"s3://mainspring/snapshots/ab12/manifest.json": {
		"distance":  {NullCount: &nulls, DistinctCount: &distinct, Min: &low, Max: &high, Quantiles: map[string]float64{"0.5": 700}},
		"passenger": {NullCount: &nulls},
	}}
}

func compiler() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	return c
}

// own compiles the schemas in testdata.
func own(t *testing.T, url string) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "schemas.json"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := compiler()
	for url, schema := range all.(map[string]any) {
		if err := c.AddResource(url, schema); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile(url)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asJSON is an event as a receiver reads it.
func asJSON(t *testing.T, event RunEvent) map[string]any {
	t.Helper()
	text, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return value.(map[string]any)
}

// rightEvents are of every type, and the least one.
func rightEvents() (events []RunEvent) {
	for _, kind := range []models.LineageEventType{models.LineageStart, models.LineageComplete, models.LineageFail, models.LineageAbort} {
		events = append(events, Producer{Version: "v1"}.Event(told(kind), figures()))
	}
	least := models.LineageEvent{Type: models.LineageStart, RunID: told("").RunID, Job: "j"}
	return append(events, Producer{}.Event(least, nil))
}

func TestEventsKeepToTheSchemas(t *testing.T) {
	schema := own(t, SchemaURL)
	for _, event := range rightEvents() {
		if err := schema.Validate(asJSON(t, event)); err != nil {
			t.Errorf("%+v: %v", event, err)
		}
	}
}

// wrongEvent is an event with one mistake.
type wrongEvent struct {
	what   string
	spoil  func(*RunEvent)
	client string // what OpenLineage's own client says of it
}

func (w wrongEvent) event() RunEvent {
	event := Producer{}.Event(told(models.LineageFail), figures())
	w.spoil(&event)
	return event
}

func wrongEvents() []wrongEvent {
	return []wrongEvent{
		{"no UUID", func(e *RunEvent) { e.Run.RunID = "run-1" }, `$.run.runId: "run-1" is no uuid`},
		{"type of event", func(e *RunEvent) { e.EventType = "DONE" }, `$.eventType: "DONE" is no EventType`},
		{"no producer", func(e *RunEvent) { e.Run.Facets.ErrorMessage.Producer = "" }, `$.run.facets.errorMessage._producer: "" is no uri`},
		{"facet's schema", func(e *RunEvent) { e.Inputs[0].Facets.Schema.SchemaURL = SchemaURL },
			"$.inputs[0].facets.schema._schemaURL: RunEvent is no DatasetFacet"},
		{"version of a facet's schema", func(e *RunEvent) {
			e.Run.Facets.Parent.SchemaURL = Producer{}.facet("1-2-9", "ParentRunFacet").SchemaURL
		},
			"$.run.facets.parent._schemaURL: " + Producer{}.facet("1-2-9", "ParentRunFacet").SchemaURL + " is no published schema"},
		{"parent's run", func(e *RunEvent) { e.Run.Facets.Parent.Run.RunID = "" }, `$.run.facets.parent.run.runId: "" is no uuid`},
		{"source's URI", func(e *RunEvent) { e.Inputs[0].Facets.DataSource.URI = "no URI: %zz" },
			`$.inputs[0].facets.dataSource.uri: "no URI: %zz" is no uri`},
		{"facet of inputs", func(e *RunEvent) { e.Outputs[0].InputFacets = e.Inputs[0].InputFacets },
			"$.outputs[0].inputFacets: OutputDataset has no such member"},
		{"no metrics", func(e *RunEvent) { e.Inputs[0].InputFacets.DataQuality.Columns = nil },
			"$.inputs[0].inputFacets.dataQualityMetrics.columnMetrics: null is no object"},
	}
}

// The schemas are no formality: they refuse what is wrong.
func TestSchemasRefuseWrongEvents(t *testing.T) {
	schema := own(t, SchemaURL)
	for _, wrong := range wrongEvents() {
		if err := schema.Validate(asJSON(t, wrong.event())); err == nil {
			t.Errorf("%s: accepted", wrong.what)
		}
	}
}

// TestEventsKeepToThePublishedSchemas needs an OpenLineage checkout.
func TestEventsKeepToThePublishedSchemas(t *testing.T) {
	spec := os.Getenv(specVariable)
	if spec == "" {
		t.Skipf("SKIPPED: %s is not set, so events are not held against the published schemas themselves", specVariable)
	}
	c, urls := compiler(), map[string]string{}
	err := filepath.WalkDir(spec, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" || strings.Contains(path, "/tests/") || strings.Contains(path, "/registry/") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		schema, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			return err
		}
		id, _ := schema.(map[string]any)["$id"].(string)
		if id == "" || urls[id] != "" {
			return nil
		}
		urls[id] = filepath.Base(path)
		return c.AddResource(id, schema)
	})
	if err != nil {
		t.Fatal(err)
	}
	hold := func(what, url string, value any) {
		schema, err := c.Compile(url)
		if err != nil {
			t.Errorf("%s: no schema: %v", what, err)
			return
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	event := asJSON(t, Producer{}.Event(told(models.LineageFail), figures()))
	hold("event", SchemaURL, event)
	var walk func(what string, value any)
	walk = func(what string, value any) {
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				walk(what, item)
			}
		case map[string]any:
			if url, ok := v["_schemaURL"].(string); ok {
				hold(what, url, v)
			}
			for name, item := range v {
				walk(what+"."+name, item)
			}
		}
	}
	walk("event", event)
}

func TestNames(t *testing.T) {
	for uri, want := range map[string][2]string{
		"s3://bucket/data/flights/":              {"s3://bucket", "data/flights"},
		"s3://bucket/snapshots/ab/manifest.json": {"s3://bucket", "snapshots/ab/manifest.json"},
		"s3://bucket/":                           {"s3://bucket", "/"},
		"s3://bucket/runs/#1/data":               {"s3://bucket", "runs/#1/data"},
		"s3://bucket/what?/a%20b/100%/":          {"s3://bucket", "what?/a%20b/100%"},
		"file:///data/flights/":                  {"file", "/data/flights"},
		"mlflow-artifacts://host:5000/1/model":   {"mlflow-artifacts://host:5000", "1/model"},
		"data/flights":                           {"file", "data/flights"},
	} {
		namespace, name := Name(uri)
		if got := [2]string{namespace, name}; got != want {
			t.Errorf("%s is %q, want %q", uri, got, want)
		}
	}
}

func TestFileKeepsEveryEventOnALineOfItsOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "lineage.jsonl")
	transport, err := Open(Config{URL: "file://" + path})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := transport.Send(t.Context(), Producer{}.Event(told(models.LineageStart), nil)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 20 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, line := range lines {
		var event RunEvent
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.EventType != "START" {
			t.Errorf("%v: %s", err, line)
		}
	}
}

func TestHTTPPostsEvents(t *testing.T) {
	status, seen := http.StatusCreated, []*http.Request{}
	var event RunEvent
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r)
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte("no such field"))
	}))
	defer server.Close()
	send := func(c Config) error {
		transport, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		return transport.Send(t.Context(), Producer{}.Event(told(models.LineageFail), nil))
	}
	if err := send(Config{URL: server.URL, APIKey: "hush"}); err != nil {
		t.Fatal(err)
	}
	if r := seen[0]; r.Method != http.MethodPost || r.URL.Path != "/api/v1/lineage" || r.Header.Get("Authorization") != "Bearer hush" || event.EventType != "FAIL" {
		t.Errorf("%s %s %v: %+v", r.Method, r.URL, r.Header, event)
	}
	if err := send(Config{URL: server.URL + "/sub", Endpoint: "/events"}); err != nil || seen[1].URL.Path != "/sub/events" {
		t.Errorf("%v at %s", err, seen[1].URL)
	}
	status = http.StatusUnprocessableEntity
	if err := send(Config{URL: server.URL}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "no such field") {
		t.Errorf("got %v", err)
	}
	status = http.StatusServiceUnavailable
	if err := send(Config{URL: server.URL}); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
	server.Close()
	if err := send(Config{URL: server.URL, APIKey: "hush"}); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefusesWhatIsNoTarget(t *testing.T) {
	if transport, err := Open(Config{}); transport != nil || err != nil {
		t.Errorf("got %v, %v", transport, err)
	}
	for _, url := range []string{"kafka://host", "file://host/path", "file:relative", "http://", "://x"} {
		if _, err := Open(Config{URL: url}); err == nil || !strings.Contains(err.Error(), "OPENLINEAGE_URL") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
