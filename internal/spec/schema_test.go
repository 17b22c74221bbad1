package spec

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

const publishedSchema = "../../docs/lifecycle.schema.json"

func TestPublishedSchemaIsCurrent(t *testing.T) {
	schema, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	published, err := os.ReadFile(publishedSchema)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(schema, published) {
		t.Errorf("docs/lifecycle.schema.json is out of date; run: go run ./cmd/mainspring schema > docs/lifecycle.schema.json")
	}
}

// node is as much of a JSON Schema as the tests look at.
type node struct {
	Ref        string          `json:"$ref"`
	Defs       map[string]node `json:"$defs"`
	Properties map[string]node `json:"properties"`
	Required   []string        `json:"required"`
	Extra      any             `json:"additionalProperties"` // false, or the schema of a map's values
	Pattern    string          `json:"pattern"`
	Enum       []string        `json:"enum"`
	OneOf      []node          `json:"oneOf"`
	Text       string          `json:"description"`
}

func readSchema(t *testing.T) node {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema node
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestSchemaSections(t *testing.T) {
	schema := readSchema(t)
	required := map[string][]string{
		"":             {"model", "data", "train"},
		"DataSpec":     {"source", "time", "key", "label", "features", "window"},
		"TrainSpec":    {"command"},
		"DeploySpec":   {"endpoint"},
		"MetricLimit":  {"metric"},
		"SliceSpec":    {"column"},
		"EvaluateSpec": nil,
		"MonitorSpec":  nil,
	}
	for name, want := range required {
		section := schema
		if name != "" {
			section = schema.Defs[name]
		}
		if !slices.Equal(section.Required, want) {
			t.Errorf("%s requires %v, want %v", name, section.Required, want)
		}
		if section.Extra != false {
			t.Errorf("%q allows unknown fields", name)
		}
	}
	for name, property := range schema.Properties {
		if property.Text == "" {
			t.Errorf("%s has no description", name)
		}
	}
	for path, want := range map[[2]string][]string{
		{"MetricLimit", "metric"}:  {"log_loss", "brier", "auc", "pr_auc", "accuracy", "f1", "calibration_error", "rmse", "mae", "r2", "pinball"},
		{"MetricLimit", "at"}:      {"value", "interval"},
		{"DataSpec", "task"}:       {"binary", "multiclass", "regression"},
		{"PredictSpec", "runtime"}: {"onnx", "pyfunc", "command"},

		{"DataSpec", "format"}:        {"parquet", "csv", "jsonl"},
		{"ColumnSpec", "time_format"}: {"iso", "unix", "unix_ms", "unix_us"},
		{"ColumnSpec", "sensitive"}:   {"keep", "drop", "pseudonymise"},
		{"SplitSpec", "by"}:           {"time", "hash"},
		{"PrepareSpec", "per"}:        {"partition", "source"},
	} {
		if got := schema.Defs[path[0]].Properties[path[1]].Enum; !slices.Equal(got, want) {
			t.Errorf("%s.%s is one of %v, want %v", path[0], path[1], got, want)
		}
	}
	for _, task := range []models.Task{models.TaskBinary, models.TaskMulticlass, models.TaskRegression} {
		for _, metric := range task.Metrics() {
			if !slices.Contains(schema.Defs["MetricLimit"].Properties["metric"].Enum, string(metric)) {
				t.Errorf("the schema lacks the metric %s of task %s", metric, task)
			}
		}
	}
	if got := len(schema.Defs["TrainSpec"].Properties["code"].OneOf); got != 2 {
		t.Errorf("train.code has %d forms, want a path and an object", got)
	}
}

// TestSchemaPatterns holds the patterns against what the types accept.
func TestSchemaPatterns(t *testing.T) {
	duration := regexp.MustCompile(durationPattern)
	for _, text := range []string{"90s", "36h", "60d", "1.5d", "1h30m", "-5d", "0.5h", "", "5", "d", "5x", "1d2h", "five", "1h 3m"} {
		var d models.Duration
		if accepted := d.UnmarshalText([]byte(text)) == nil; accepted != duration.MatchString(text) {
			t.Errorf("duration %q: type accepts %v, schema %v", text, accepted, !accepted)
		}
	}
	memory := regexp.MustCompile(bytesPattern)
	for _, text := range []string{"4GiB", "512 MiB", "1.5TB", "7", "", "GiB", "4Gi", "-1GB"} {
		var b models.Bytes
		if accepted := b.UnmarshalText([]byte(text)) == nil; accepted != memory.MatchString(text) {
			t.Errorf("memory %q: type accepts %v, schema %v", text, accepted, !accepted)
		}
	}
}

// TestSchemaKnowsEveryField walks the Go types and the schema side by side.
func TestSchemaKnowsEveryField(t *testing.T) {
	schema := readSchema(t)
	for _, section := range []struct {
		name string
		typ  reflect.Type
	}{
		{"DataSpec", reflect.TypeFor[models.DataSpec]()}, {"TrainSpec", reflect.TypeFor[models.TrainSpec]()},
		{"EvaluateSpec", reflect.TypeFor[models.EvaluateSpec]()}, {"PredictSpec", reflect.TypeFor[models.PredictSpec]()},
		{"SliceSpec", reflect.TypeFor[models.SliceSpec]()}, {"ServingLimits", reflect.TypeFor[models.ServingLimits]()},
		{"ApprovalSpec", reflect.TypeFor[models.ApprovalSpec]()}, {"DeploySpec", reflect.TypeFor[models.DeploySpec]()},
		{"CanarySpec", reflect.TypeFor[models.CanarySpec]()},
		{"CSVSpec", reflect.TypeFor[models.CSVSpec]()}, {"ColumnSpec", reflect.TypeFor[models.ColumnSpec]()},
		{"SplitSpec", reflect.TypeFor[models.SplitSpec]()}, {"PrepareSpec", reflect.TypeFor[models.PrepareSpec]()},
		{"DataChecks", reflect.TypeFor[models.DataChecks]()}, {"MonitorSpec", reflect.TypeFor[models.MonitorSpec]()},
	} {
		for _, name := range fieldNames(section.typ) {
			if _, ok := schema.Defs[section.name].Properties[name]; !ok {
				t.Errorf("the schema of %s lacks %s", section.name, name)
			}
		}
	}
}
