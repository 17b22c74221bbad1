package spec

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func TestLoadFull(t *testing.T) {
	got, err := Load("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	zero, low, high, worst, nulls := 0, 0.0, 23.0, 0.7, 0.01
	want := models.LifecycleSpec{
		Model: models.ModelSpec{Name: "flight-delay", Description: "Will a flight arrive 15 minutes late?"},
		Data: models.DataSpec{
			Source: "s3://mainspring/data/flights/", Time: "sched_dep", Key: "id", Label: "late", LabelTime: "known_at",
			Features: []string{"carrier", "origin", "hour"}, AsOf: time.Date(2013, 3, 1, 0, 0, 0, 0, time.UTC),
			Window: 60 * models.Day, Holdout: 14 * models.Day,
			Checks: models.DataChecks{MinRows: 1000, MaxNullFraction: map[string]float64{"hour": nulls},
				Range: map[string]models.Range{"hour": {Min: &low, Max: &high}}},
		},
		Train: models.TrainSpec{
			Command:     []string{"python", "train.py", "--rounds", "200"},
			Code:        models.Source{Path: "src"},
			Environment: models.Environment{Requirements: models.Source{Path: "requirements.txt"}, SystemSite: true},
			Params: map[string]any{"rounds": 200.0, "eta": 0.1, "note": "two\nlines\n",
				"deep": map[string]any{"list": []any{1.0, "two", true, nil}}},
			Env:       map[string]string{"OMP_NUM_THREADS": "2", "HF_TOKEN": "env:HF_TOKEN"},
			Resources: models.Resources{GPUsPerNode: 2, DeviceMemory: 4 << 30},
			Timeout:   models.Duration(time.Hour), Grace: models.Duration(10 * time.Second), MaxRestarts: &zero,
		},
		Evaluate: models.EvaluateSpec{
			Limits:   []models.MetricLimit{{Metric: models.LogLoss, Max: &worst}},
			Champion: models.ChampionGate{Metric: models.Brier, Level: 0.05, Block: models.Day},
		},
		Deploy: &models.DeploySpec{Endpoint: "flight-delay",
			Canary: models.CanarySpec{Steps: []float64{10, 50}, OnDeadline: models.PolicyHold}},
		Monitor: &models.MonitorSpec{Maturity: 2 * models.Day,
			Retrain: models.RetrainSpec{Window: 60 * models.Day, Holdout: 14 * models.Day}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("loaded\n%+v\nwant\n%+v", got, want)
	}
}

func TestYAMLAndJSONAreEqual(t *testing.T) {
	fromYAML, err := Load("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, err := Load("testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fromYAML, fromJSON) {
		t.Errorf("YAML:\n%+v\nJSON:\n%+v", fromYAML, fromJSON)
	}
}

// minimal is valid; the tests below spoil one line of it.
const minimal = `model:
  name: delay
data:
  source: data/
  time: sched
  key: id
  label: late
  features: [carrier, hour]
  window: 60d
  holdout: 14d
train:
  command: [python, train.py]
`

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name     string
		old, new string // replaced in minimal
		want     string
	}{
		{"valid", "", "", ""},
		{"typo", "  window: 60d", "  widnow: 60d",
			"f.yaml:9:3: data: unknown field `widnow`; did you mean `window`?\n    9 |   widnow: 60d\n      |   ^"},
		{"field of another section", "  holdout: 14d\n", "  holdout: 14d\n  endpoint: x\n",
			"f.yaml:11:3: data: unknown field `endpoint`; it belongs at `deploy.endpoint`\n   11 |   endpoint: x\n      |   ^"},
		{"unheard of", "  name: delay", "  name: delay\n  colour: red",
			"f.yaml:3:3: model: unknown field `colour`; known here: name, description\n    3 |   colour: red\n      |   ^"},
		{"wrong type for a string", "name: delay", "name: 5",
			"f.yaml:2:9: model.name: expected a string, got the number 5 (put it in quotes: \"5\")\n    2 |   name: 5\n      |         ^"},
		{"wrong type for a list", "command: [python, train.py]", "command: python train.py",
			"f.yaml:12:12: train.command: expected a list, got \"python train.py\" (write [a, b], or one item a line after '- ')\n   12 |   command: python train.py\n      |            ^"},
		{"wrong type for a map", "model:\n  name: delay", "model: delay",
			"f.yaml:1:8: model: expected a map of fields, got \"delay\"\n    1 | model: delay\n      |        ^"},
		{"wrong type for a number", "train:", "train:\n  max_restarts: many",
			"f.yaml:12:17: train.max_restarts: expected a whole number, got \"many\"\n   12 |   max_restarts: many\n      |                 ^"},
		{"fraction for a whole number", "train:", "train:\n  max_restarts: 1.5",
			"f.yaml:12:17: train.max_restarts: expected a whole number, got the number 1.5\n   12 |   max_restarts: 1.5\n      |                 ^"},
		{"wrong type for a flag", "train:", "train:\n  environment: {system_site_packages: sure}",
			"f.yaml:12:39: train.environment.system_site_packages: expected true or false, got \"sure\"\n   12 |   environment: {system_site_packages: sure}\n      |                                       ^"},
		{"wrong type for a path", "train:", "train:\n  code: [a]",
			"f.yaml:12:9: train.code: expected a path, got a list\n   12 |   code: [a]\n      |         ^"},
		{"wrong type for an item", "features: [carrier, hour]", "features: [carrier, 5]",
			"f.yaml:8:23: data.features[1]: expected a string, got the number 5 (put it in quotes: \"5\")\n    8 |   features: [carrier, 5]\n      |                       ^"},
		{"not a number", "train:", "train:\n  params: {x: .nan}",
			"f.yaml:12:15: train.params.x: .nan has no JSON form\n   12 |   params: {x: .nan}\n      |               ^"},
		{"unquoted environment variable", "train:", "train:\n  env: {THREADS: 2}",
			"f.yaml:12:18: train.env.THREADS: expected a string, got the number 2 (put it in quotes: \"2\")\n   12 |   env: {THREADS: 2}\n      |                  ^"},
		{"duplicate key", "  window: 60d\n", "  window: 60d\n  window: 30d\n",
			"f.yaml:10:3: data.window: is written twice; first in line 9 (keep one of them)\n   10 |   window: 30d\n      |   ^"},
		{"bad duration", "window: 60d", "window: 60 days",
			"f.yaml:9:11: data.window: duration \"60 days\": write a number and a unit, such as 90s, 36h or 60d\n    9 |   window: 60 days\n      |           ^"},
		{"duration without a unit", "window: 60d", "window: 60",
			"f.yaml:9:11: data.window: duration \"60\": write a number and a unit, such as 90s, 36h or 60d\n    9 |   window: 60\n      |           ^"},
		{"bad memory", "train:", "train:\n  resources: {device_memory: 4Gi}",
			"f.yaml:12:30: train.resources.device_memory: memory \"4Gi\": write a number and a unit, such as 4GiB or 512MiB\n   12 |   resources: {device_memory: 4Gi}\n      |                              ^"},
		{"bad date", "  window: 60d", "  as_of: 2013-02-30\n  window: 60d",
			"f.yaml:9:10: data.as_of: expected a date or a time, got \"2013-02-30\" (such as 2013-03-01 or 2013-03-01T06:00:00Z)\n    9 |   as_of: 2013-02-30\n      |          ^"},
		{"impossible window", "window: 60d", "window: 7d",
			"f.yaml:9:3: data.window: is 7d and must be longer than the holdout (14d) (the rest of the window is what trains)\n    9 |   window: 7d\n      |   ^"},
		{"no value", "window: 60d", "window:",
			"f.yaml:9:3: data.window: has no value (remove it or give it one)\n    9 |   window:\n      |   ^"},
		{"empty section", "train:", "evaluate:\ntrain:",
			"f.yaml:11:1: evaluate: has no value (remove it, or write {} for all defaults)\n   11 | evaluate:\n      | ^"},
		{"missing field", "  name: delay\n", "  description: x\n",
			"f.yaml:1:1: model.name: is missing (a name of letters, digits, '-', '_' and '.')\n    1 | model:\n      | ^"},
		{"two problems", "  label: late\n  features: [carrier, hour]", "  label: late\n  features: [carrier, late]\n  label_time: id",
			"f.yaml:8:23: data.features[1]: \"late\" is the label: the model would see the answer (remove it)\n    8 |   features: [carrier, late]\n      |                       ^\n" +
				"f.yaml:9:3: data.label_time: is \"id\", which is data.label or data.key already\n    9 |   label_time: id\n      |   ^"},
		{"two problems in one place", "  label: late\n  features: [carrier, hour]\n", "",
			"f.yaml:3:1: data.label: is missing (the column with the outcome, see data.task)\n" +
				"f.yaml:3:1: data.features: is empty (name the columns the model sees)\n    3 | data:\n      | ^"},
		{"anchor", "name: delay", "name: &n delay",
			"f.yaml:2:9: model.name: anchors, aliases and merges are not supported (write the value out)\n    2 |   name: &n delay\n      |         ^"},
		{"tag", "name: delay", "name: !!str delay",
			"f.yaml:2:9: model.name: YAML tags are not supported (remove the tag)\n    2 |   name: !!str delay\n      |         ^"},
		{"second document", "train:", "---\ntrain:",
			"f.yaml:12:1: a second document starts here; a spec is one document (remove the --- above)\n   12 | train:\n      | ^"},
		{"open bracket", "features: [carrier, hour]", "features: [carrier, hour",
			"f.yaml:9:3: not valid YAML or JSON: ',' or ']' must be specified (check indentation, quotes and brackets)\n    9 |   window: 60d\n      |   ^"},
		{"empty", minimal, "", "f.yaml: the file is empty (start from an example: mainspring schema describes every field)"},
		{"list", minimal, "- a\n", "f.yaml:1:1: expected a map of fields, got a list\n    1 | - a\n      | ^"},
		{"binary", minimal, "\xff\xfe", "f.yaml: the file is not UTF-8 text"},
		{"huge", minimal, strings.Repeat("#", maxFileBytes+1),
			"f.yaml: the file has 32769 bytes; a spec has at most 32768 (move data and large parameters to files in train.code)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(strings.Replace(minimal, test.old, test.new, 1)))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("error:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

func TestErrorHoldsTheProblems(t *testing.T) {
	_, err := Parse("f.yaml", []byte(strings.Replace(minimal, "window: 60d", "window: 7d", 1)))
	var problems models.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Path != "data.window" {
		t.Errorf("problems in %v: %v", err, problems)
	}
}

func TestLongLinesAreCut(t *testing.T) {
	text := `{"model": {"name": "` + strings.Repeat("x", 90) + `", "description": 5}}`
	_, err := Parse("f.json", []byte(text))
	lines := strings.Split(err.Error(), "\n")
	excerpt, caret := lines[1], lines[2]
	if len(excerpt) > excerptWidth+10 || excerpt[strings.IndexByte(caret, '^')] != '5' {
		t.Errorf("excerpt of a long line:\n%s", err)
	}
}

func TestByteOrderMarkAndLineEnds(t *testing.T) {
	text := "\ufeff" + strings.ReplaceAll(minimal, "\n", "\r\n")
	document, err := Parse("f.yaml", []byte(text))
	if err != nil || document.Spec.Model.Name != "delay" {
		t.Errorf("document %+v, error %v", document, err)
	}
}

func TestReadMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	_, err := Read(path)
	if want := path + ": there is no such file (name the spec with -f)"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}
