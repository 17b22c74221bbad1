package models

import (
	"maps"
	"slices"
	"time"
)

// DataSpec says which rows a lifecycle uses. Rows with Time in
// [AsOf-Window, AsOf-Holdout) train, rows in [AsOf-Holdout, AsOf) test; see
// SplitSpec for the other way. Rows whose label is not yet known at AsOf are
// left out.
type DataSpec struct {
	Source    string                `json:"source" jsonschema_description:"Partitions, one file each: s3://bucket/prefix/, file:///dir/, or a path relative to the spec, which the client uploads. Parquet, CSV and JSON lines, the latter two plain or gzip."`
	Format    DataFormat            `json:"format,omitempty" jsonschema_description:"parquet, csv or jsonl, for all files. Default: by each name's ending: .parquet, .csv, .tsv, .jsonl, .ndjson, .json, the texts with or without .gz."`
	CSV       CSVSpec               `json:"csv,omitzero" jsonschema_description:"How CSV files are written."`
	Columns   map[string]ColumnSpec `json:"columns,omitempty" jsonschema_description:"What is known of columns, by name. A column that has no other role is carried along into the snapshot, but for those with sensitive: drop. mainspring data infer writes this section."`
	Prepare   *PrepareSpec          `json:"prepare,omitempty" jsonschema_description:"A program of yours that transforms the partitions first. Absent: none."`
	Time      string                `json:"time" jsonschema_description:"Column with the event time of a row."`
	Key       string                `json:"key" jsonschema_description:"Column that identifies a row; joins late labels to logged predictions."`
	Label     string                `json:"label" jsonschema_description:"Column with the outcome: 0 or 1, a class, or a number, see task."`
	Task      Task                  `json:"task,omitempty" jsonschema_description:"What the label is: binary (0 or 1; the default), multiclass (one of classes) or regression (a number)."`
	Classes   []string              `json:"classes,omitempty" jsonschema_description:"Labels of task multiclass in the order of the model's outputs. Default: the integers from 0 on, as many as the model has outputs."`
	LabelTime string                `json:"label_time,omitempty" jsonschema_description:"Column with the time at which the label became known. Default: the event time."`
	Features  []string              `json:"features" jsonschema_description:"Columns the model sees, by name; the model's inputs carry the same names."`
	AsOf      time.Time             `json:"as_of,omitzero" jsonschema_description:"The moment from which the past is seen. Default: the lifecycle's start."`
	Window    Duration              `json:"window" jsonschema_description:"How far back rows are used, such as 60d."`
	Holdout   Duration              `json:"holdout,omitzero" jsonschema_description:"The last part of the window, kept from training and used to evaluate, such as 14d. Not with split.by: hash."`
	Split     SplitSpec             `json:"split,omitzero" jsonschema_description:"How rows are put on the two sides. Default: by time."`
	Checks    DataChecks            `json:"checks,omitzero" jsonschema_description:"What must hold for the rows."`
	// PseudonymKey is a reference, never the key itself.
	PseudonymKey string   `json:"pseudonym_key,omitempty" jsonschema_description:"Secret of at least 16 bytes for columns with sensitive: pseudonymise, and for dropped ones among checks.unique, as env:NAME or file:PATH, resolved by the worker that reads the data. The same key gives the same pseudonyms."`
	Retention    Duration `json:"retention,omitempty" jsonschema_description:"How long a snapshot is kept after its last use; what a model version or a run refers to is kept whatever this says. Default: mainspring data gc deletes nothing of it."`
}

// DataFormat is how a partition's rows are written.
type DataFormat string

// The formats.
const (
	FormatParquet DataFormat = "parquet"
	FormatCSV     DataFormat = "csv"
	FormatJSONL   DataFormat = "jsonl" // one JSON object on a line
)

// CSVSpec says how CSV files are written. The first line names the columns.
type CSVSpec struct {
	Delimiter string   `json:"delimiter,omitempty" jsonschema_description:"One character. Default: a comma, or a tab in files that end with .tsv."`
	Nulls     []string `json:"nulls,omitempty" jsonschema_description:"Texts that stand for no value, beside an empty field without quotes, such as NA."`
}

// ColumnSpec is what is known of one column.
type ColumnSpec struct {
	Type       string      `json:"type,omitempty" jsonschema_description:"string, int64, float64, bool or timestamp. Default: as the file says, or as all its values in a text file can be read."`
	TimeFormat TimeFormat  `json:"time_format,omitempty" jsonschema_description:"How times in text files are written: iso (2013-02-01T05:15:00Z, or with a blank; without a zone it is UTC; the default), unix, unix_ms or unix_us."`
	KnownAt    string      `json:"known_at,omitempty" jsonschema_description:"Column with the time at which this feature's value became known. A value that was known only after the event gives the future away."`
	Sensitive  Sensitivity `json:"sensitive,omitempty" jsonschema_description:"keep: stored, and its values shown nowhere; drop: not stored either; pseudonymise: stored as a keyed hash (HMAC-SHA256)."`
}

// TimeFormat is how a time is written in a text file.
type TimeFormat string

// The formats of times. Numbers count from 1970 in UTC.
const (
	TimeISO        TimeFormat = "iso"
	TimeUnix       TimeFormat = "unix"    // seconds
	TimeUnixMillis TimeFormat = "unix_ms" // milliseconds
	TimeUnixMicros TimeFormat = "unix_us" // microseconds
)

// Sensitivity is what happens to a column that says something about people. No
// value of such a column is in a report, a history or a log.
type Sensitivity string

// The sensitivities; empty: not sensitive.
const (
	SensitiveKeep         Sensitivity = "keep"
	SensitiveDrop         Sensitivity = "drop"
	SensitivePseudonymise Sensitivity = "pseudonymise"
)

// IsSensitive reports whether a column's values must not be shown.
func (d DataSpec) IsSensitive(column string) bool { return d.Columns[column].Sensitive != "" }

// NeedsPseudonymKey reports whether a column is pseudonymised, or must be unique
// and is dropped: finding repeats keeps its hashes.
func (d DataSpec) NeedsPseudonymKey() bool {
	return slices.ContainsFunc(slices.Sorted(maps.Keys(d.Columns)), func(name string) bool {
		s := d.Columns[name].Sensitive
		return s == SensitivePseudonymise || s == SensitiveDrop && slices.Contains(d.Checks.Unique, name)
	})
}

// SplitSpec says how rows are put on the two sides, never by their order.
type SplitSpec struct {
	By       SplitBy `json:"by,omitempty" jsonschema_description:"time (the default): the last holdout of the window tests. hash: rows of the whole window whose hash of a column falls below fraction test."`
	Column   string  `json:"column,omitempty" jsonschema_description:"Column to hash; all rows with one value are on one side. Default: data.key."`
	Fraction float64 `json:"fraction,omitempty" jsonschema_description:"Share of the column's values that test, above 0 and below 1. Default: 0.2."`
	Salt     string  `json:"salt,omitempty" jsonschema_description:"Another salt is another draw."`
}

// SplitBy is what decides on which side a row is.
type SplitBy string

// The ways to split.
const (
	SplitByTime SplitBy = "time"
	SplitByHash SplitBy = "hash"
)

// PrepareSpec is a program that transforms partitions. It reads the files in
// MAINSPRING_DATA_DIR and writes files of any of the formats into
// MAINSPRING_OUTPUT_DIR; MAINSPRING_PARAMS and the rest are as in training.
type PrepareSpec struct {
	Command     []string          `json:"command" jsonschema_description:"Program and arguments, never a shell string. A leading 'python' is the environment's interpreter."`
	Code        Source            `json:"code,omitzero" jsonschema_description:"Directory that becomes the working directory; packed by the client, .gitignore respected."`
	Environment Environment       `json:"environment,omitzero" jsonschema_description:"What the program needs. Absent: whatever the host has."`
	Params      map[string]any    `json:"params,omitempty" jsonschema_description:"Handed to the program as JSON in MAINSPRING_PARAMS."`
	Env         map[string]string `json:"env,omitempty" jsonschema_description:"Further environment variables. A value env:NAME or file:PATH is a secret, resolved on the host that runs the program."`
	Per         PreparePer        `json:"per,omitempty" jsonschema_description:"partition (the default): one run of the program per file, side by side; source: one run that sees all files."`
	Resources   *Resources        `json:"resources,omitempty" jsonschema_description:"Devices to lease for each run. Absent: none; it runs on any host of the pool."`
	Pool        string            `json:"pool,omitempty" jsonschema_description:"Pool whose hosts run the program when no devices are leased. Default: default."`
	Timeout     Duration          `json:"timeout,omitempty" jsonschema_description:"Longest time that one run may take. Default: 1h."`
}

// PreparePer is what one run of a preparing program sees.
type PreparePer string

// What one run sees.
const (
	PreparePerPartition PreparePer = "partition"
	PreparePerSource    PreparePer = "source"
)

// DataChecks are the limits rows must keep. The zero value asks for at least
// one row on each side of the split and allows no nulls in declared columns.
// Limits against a baseline hold only where there is one: the champion's
// profile. Figures are shares of rows from 0 to 1 where nothing else is said.
type DataChecks struct {
	MinRows         int64               `json:"min_rows,omitempty" jsonschema_description:"Least number of training rows. Default: 1."`
	MaxRows         int64               `json:"max_rows,omitempty" jsonschema_description:"Largest number of training rows. 0: no limit."`
	MaxNullFraction map[string]float64  `json:"max_null_fraction,omitempty" jsonschema_description:"Largest share of nulls by column, 0 to 1. Default: 0 for every declared column."`
	MaxNullRise     *float64            `json:"max_null_rise,omitempty" jsonschema_description:"How much a column's share of nulls may lie above the baseline's. Default: 0.05."`
	Range           map[string]Range    `json:"range,omitempty" jsonschema_description:"Smallest and largest allowed value by column."`
	Allowed         map[string][]string `json:"allowed,omitempty" jsonschema_description:"Allowed values by column, as text."`
	MaxUnseen       *float64            `json:"max_unseen,omitempty" jsonschema_description:"Largest share of rows with a category that the baseline does not have, by column. Default: 0.01."`
	Unique          []string            `json:"unique,omitempty" jsonschema_description:"Columns whose values must differ from row to row, over all partitions. Default: data.key."`
	MaxDuplicates   *float64            `json:"max_duplicates,omitempty" jsonschema_description:"Largest share of rows that repeat another one in every column but the key. Default: 0.01."`
	Freshness       Duration            `json:"freshness,omitempty" jsonschema_description:"How far before as_of the newest row may lie. 0: not asked."`
	MaxSkew         *float64            `json:"max_skew,omitempty" jsonschema_description:"Largest share of rows, joined by key to the requests that the endpoint has logged, whose value of a feature differs from the one that was served. Default: 0.01."`
	MaxShift        *float64            `json:"max_shift,omitempty" jsonschema_description:"Largest Jensen-Shannon distance, 0 to 1, between a feature's training rows and what the endpoint has logged. Default: 0.3."`
	MaxLeak         *float64            `json:"max_leak,omitempty" jsonschema_description:"Largest share of the label's entropy (its variance, for task regression) that one feature alone may explain; more looks like the answer itself. Default: 0.8."`
	Severity        map[string]Severity `json:"severity,omitempty" jsonschema_description:"error or warn, by check (nulls) or check and column (nulls.distance). Default: warn for new_column, null_rise, unseen, duplicates, shift and leakage that is only guessed, error for all others."`
}

// Severity is what a failed check does.
type Severity string

// The severities.
const (
	SeverityError Severity = "error" // stops the preparation
	SeverityWarn  Severity = "warn"  // is recorded and shown
)

// Range is a closed interval; a nil end is open.
type Range struct {
	Min *float64 `json:"min,omitempty" jsonschema_description:"Smallest allowed value."`
	Max *float64 `json:"max,omitempty" jsonschema_description:"Largest allowed value."`
}
