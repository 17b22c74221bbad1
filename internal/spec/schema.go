package spec

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/invopop/jsonschema"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	durationPattern = `^-?([0-9]+(\.[0-9]*)?|\.[0-9]+)(d|((ns|us|µs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))*))$`
	bytesPattern    = `^[0-9]+(\.[0-9]+)?\s*(TiB|GiB|MiB|KiB|TB|GB|MB|kB|B)?$`
	momentPattern   = `^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?$`
)

// Schema returns the JSON Schema of a spec, for editors: field names, types,
// units and words are checked as one types. What concerns several fields at
// once is left to Load.
func Schema() ([]byte, error) {
	reflector := jsonschema.Reflector{
		Anonymous:      true,
		ExpandedStruct: true,
		Mapper:         writtenAs,
	}
	schema := reflector.ReflectFromType(reflect.TypeFor[models.LifecycleSpec]())
	schema.Title = "Mainspring lifecycle"
	schema.Description = "From raw data to a guarded release: what a lifecycle.yaml may say."
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return append(text, '\n'), nil
}

// writtenAs returns the schema of types that are written otherwise than their
// Go form, and nil for all others.
func writtenAs(t reflect.Type) *jsonschema.Schema {
	switch t {
	case durationType:
		return &jsonschema.Schema{Type: "string", Pattern: durationPattern, Examples: []any{"90s", "36h", "60d"}}
	case bytesType:
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
			{Type: "string", Pattern: bytesPattern, Examples: []any{"4GiB", "512MiB"}},
			{Type: "integer", Minimum: "0"},
		}}
	case timeType:
		return &jsonschema.Schema{Type: "string", Pattern: momentPattern, Examples: []any{"2013-03-01", "2013-03-01T06:00:00Z"}}
	case sourceType:
		return sourceSchema()
	case reflect.TypeFor[models.Metric]():
		return metricWords()
	case reflect.TypeFor[models.Task]():
		return words(models.TaskBinary, models.TaskMulticlass, models.TaskRegression)
	case reflect.TypeFor[models.DataFormat]():
		return words(models.FormatParquet, models.FormatCSV, models.FormatJSONL)
	case reflect.TypeFor[models.TimeFormat]():
		return words(models.TimeISO, models.TimeUnix, models.TimeUnixMillis, models.TimeUnixMicros)
	case reflect.TypeFor[models.Sensitivity]():
		return words(models.SensitiveKeep, models.SensitiveDrop, models.SensitivePseudonymise)
	case reflect.TypeFor[models.SplitBy]():
		return words(models.SplitByTime, models.SplitByHash)
	case reflect.TypeFor[models.PreparePer]():
		return words(models.PreparePerPartition, models.PreparePerSource)
	case reflect.TypeFor[models.Severity]():
		return words(models.SeverityError, models.SeverityWarn)
	case reflect.TypeFor[models.Runtime]():
		return words(models.RuntimeONNX, models.RuntimePyfunc, models.RuntimeCommand)
	case reflect.TypeFor[models.LimitAt]():
		return words(models.AtValue, models.AtInterval)
	case reflect.TypeFor[models.Policy]():
		return words(models.PolicyRollBack, models.PolicyHold)
	case reflect.TypeFor[models.Placement]():
		return words(models.PlacementPack, models.PlacementSpread)
	case reflect.TypeFor[models.TriggerKind]():
		return words(models.TriggerManual, models.TriggerAlarm)
	default:
		return nil
	}
}

// sourceSchema is a path, or the object a resolved spec has.
func sourceSchema() *jsonschema.Schema {
	type resolved models.Source // without the mapping above
	object := (&jsonschema.Reflector{Anonymous: true, DoNotReference: true}).ReflectFromType(reflect.TypeFor[resolved]())
	object.Version = ""
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string", MinLength: ptr[uint64](1)}, object}}
}

// metricWords are the metrics of all tasks: which of them fit depends on another
// field.
func metricWords() *jsonschema.Schema {
	return words(append(models.TaskBinary.Metrics(), models.TaskRegression.Metrics()...)...)
}

func words[T ~string](values ...T) *jsonschema.Schema {
	schema := &jsonschema.Schema{Type: "string"}
	for _, v := range values {
		schema.Enum = append(schema.Enum, string(v))
	}
	return schema
}

func ptr[T any](v T) *T { return &v }
