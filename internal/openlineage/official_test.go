package openlineage

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/openlineage/official"
	"github.com/mainspring-ml/mainspring/models"
)

// client is a Python with OpenLineage's own client.
func client(t *testing.T) string {
	t.Helper()
	if os.Getenv("MAINSPRING_TEST_STACK") == "" {
		t.Skip("SKIPPED: MAINSPRING_TEST_STACK is not set, so nothing is held against OpenLineage's own client; testenv/withstack sets it")
	}
	python, err := devstack.SetupOpenLineage(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return python
}

// clientSays returns what the client has against each event.
func clientSays(t *testing.T, events ...any) [][]string {
	t.Helper()
	var lines bytes.Buffer
	for _, event := range events {
		if err := json.NewEncoder(&lines).Encode(event); err != nil {
			t.Fatal(err)
		}
	}
	says, err := official.Events(t.Context(), client(t), lines.Bytes())
	if err != nil || len(says) != len(events) {
		t.Fatalf("%d answers on %d events: %v", len(says), len(events), err)
	}
	return says
}

func TestOfficialClientAcceptsEvents(t *testing.T) {
	var events []any
	for _, event := range rightEvents() {
		events = append(events, event)
	}
	for i, complaints := range clientSays(t, events...) {
		if len(complaints) > 0 {
			t.Errorf("%+v: %q", events[i], complaints)
		}
	}
}

func TestOfficialClientRefusesWrongEvents(t *testing.T) {
	wrong := wrongEvents()
	var events []any
	for _, w := range wrong {
		events = append(events, w.event())
	}
	for i, complaints := range clientSays(t, events...) {
		if len(complaints) != 1 || complaints[0] != wrong[i].client {
			t.Errorf("%s: got %q, want %s", wrong[i].what, complaints, wrong[i].client)
		}
	}
}

// spoiled is an event with a value at a path; "": without the member.
func spoiled(t *testing.T, path string, value any) map[string]any {
	t.Helper()
	event := asJSON(t, Producer{}.Event(told(models.LineageFail), figures()))
	steps := strings.Split(path, ".")
	within := event
	for _, step := range steps[:len(steps)-1] {
		switch next := within[step].(type) {
		case map[string]any:
			within = next
		case []any:
			within = next[0].(map[string]any)
		default:
			t.Fatalf("%s: nothing at %s", path, step)
		}
	}
	last := steps[len(steps)-1]
	if within[last] = value; value == "" {
		delete(within, last)
	}
	return event
}

// What events of this package can't even say is refused as well.
func TestOfficialClientReadsStrictly(t *testing.T) {
	schema := spoiled(t, "none", "")["inputs"].([]any)[0].(map[string]any)["facets"].(map[string]any)["schema"]
	cases := []struct {
		path  string
		value any
		says  string
	}{
		{"run.id", 1, "$.run.id: Run has no such member"},
		{"run.facets.parent.run.id", 1, "$.run.facets.parent.run.id: Run has no such member"},
		{"job.name", "", "$.job.name: Job must have it"},
		{"producer", "", "$.producer: RunEvent must have it"},
		{"run.facets.parent._schemaURL", "", "$.run.facets.parent._schemaURL: None is no published schema"},
		{"run.facets.parent._producer", "", "$.run.facets.parent._producer: ParentRunFacet must have it"},
		{"run", 5, "$.run: 5 is no object"},
		{"inputs", map[string]any{}, "$.inputs: {} is no array"},
		{"run.facets", []any{}, "$.run.facets: [] is no object"},
		{"job.name", nil, "$.job.name: null is no string"},
		{"job.facets.jobType.jobType", nil, "$.job.facets.jobType.jobType: null is no string"},
		{"inputs.inputFacets.dataQualityMetrics.rowCount", "7", `$.inputs[0].inputFacets.dataQualityMetrics.rowCount: "7" is no integer`},
		{"inputs.inputFacets.dataQualityMetrics.rowCount", 7.5, "$.inputs[0].inputFacets.dataQualityMetrics.rowCount: 7.5 is no integer"},
		{"inputs.inputFacets.dataQualityMetrics.bytes", true, "$.inputs[0].inputFacets.dataQualityMetrics.bytes: true is no integer"},
		{"inputs.inputFacets.dataQualityMetrics.columnMetrics.distance.min", "low", `$.inputs[0].inputFacets.dataQualityMetrics.columnMetrics.distance.min: "low" is no number`},
		{"eventTime", "2026-03-01T12:00:00", `$.eventTime: "2026-03-01T12:00:00" is no date-time`},
		{"eventTime", "2026-13-01T12:00:00Z", "$: RunEvent refuses it: month must be in 1..12"},
		{"producer", "mainspring", `$.producer: "mainspring" is no uri`},
		{"run.runId", "0198a6e28f3c7a519a556f1d2c3b4a59", `$.run.runId: "0198a6e28f3c7a519a556f1d2c3b4a59" is no uuid`},
		{"schemaURL", specification + "1-0-0/OpenLineage.json#/$defs/RunEvent", `$.schemaURL: "` + specification + `1-0-0/OpenLineage.json#/$defs/RunEvent" is not ` + SchemaURL},
		{"run.facets.schema", schema, "$.run.facets.schema._schemaURL: SchemaDatasetFacet is no RunFacet"},
		{"inputs.facets.columns", schema, "$.inputs[0].facets.columns._schemaURL: SchemaDatasetFacet lies under schema"},
		{"inputs.facets.version", schema, "$.inputs[0].facets.version._schemaURL: SchemaDatasetFacet lies under schema"},
	}
	var events []any
	for _, c := range cases {
		events = append(events, spoiled(t, c.path, c.value))
	}
	for i, complaints := range clientSays(t, events...) {
		if len(complaints) != 1 || complaints[0] != cases[i].says {
			t.Errorf("%s = %v: got %q, want %s", cases[i].path, cases[i].value, complaints, cases[i].says)
		}
	}
}

func TestOfficialClientSaysWhenItCannotJudge(t *testing.T) {
	for input, want := range map[string]string{"": "nothing to judge", "{": "JSONDecodeError"} {
		if says, err := official.Events(t.Context(), client(t), []byte(input)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v", input, says, err)
		}
	}
}

// schemas are those in testdata, with other words in some places.
func schemas(t *testing.T, replace ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "schemas.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !bytes.Contains(text, []byte(replace[i])) {
			t.Fatalf("schemas.json has no %s", replace[i])
		}
		text = bytes.ReplaceAll(text, []byte(replace[i]), []byte(replace[i+1]))
	}
	return text
}

func TestSchemasAreThoseOfTheOfficialClient(t *testing.T) {
	answers, err := official.Schemas(t.Context(), client(t), schemas(t))
	if err != nil || len(answers) == 0 {
		t.Fatalf("%d answers: %v", len(answers), err)
	}
	for _, differences := range answers {
		if len(differences) > 0 {
			t.Errorf("got %q", differences)
		}
	}
}

func TestOfficialClientSeesHowSchemasDiffer(t *testing.T) {
	answers, err := official.Schemas(t.Context(), client(t), schemas(t,
		`"ABORT",`, ``,
		`"format": "uuid"`, `"format": "uri"`,
		`"errorMessage": {`, `"error": {`,
		`"nominalEndTime": {`, `"nominalEnd": {`,
		`/1-1-1/`, `/1-1-0/`,
		"     \"columnMetrics\"\n", "     \"bytes\"\n",
		"\"rowCount\": {\n      \"type\": \"integer\"", "\"rowCount\": {\n      \"type\": \"number\"",
	))
	if err != nil {
		t.Fatal(err)
	}
	engine := specification + "facets/1-1-0/ProcessingEngineRunFacet.json#/$defs/ProcessingEngineRunFacet is no published schema"
	want := []string{
		"RunEvent.properties.eventType.enum: only theirs has ABORT",
		"Run.properties.facets.properties.processing_engine: " + engine,
		"Run.properties.facets.properties.error: ErrorMessageRunFacet lies under errorMessage",
		`Run.properties.runId.format: ours is "uri", theirs "uuid"`,
		`ParentRunFacet.properties.run.properties.runId.format: ours is "uri", theirs "uuid"`,
		`RootRun.properties.runId.format: ours is "uri", theirs "uuid"`,
		"NominalTimeRunFacet.properties.nominalEnd: only ours has it",
		"NominalTimeRunFacet.properties.nominalEndTime: only theirs has it",
		"ProcessingEngineRunFacet: " + engine,
		`DataQualityMetricsInputDatasetFacet.properties.rowCount.type: ours is "number", theirs "integer"`,
		"DataQualityMetricsInputDatasetFacet.required: only ours has bytes",
		"DataQualityMetricsInputDatasetFacet.required: only theirs has columnMetrics",
		`OutputStatisticsOutputDatasetFacet.properties.rowCount.type: ours is "number", theirs "integer"`,
	}
	if got := slices.Concat(answers...); !slices.Equal(got, want) {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}
