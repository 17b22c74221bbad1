package openlineage

import "time"

const (
	specification = "https://openlineage.io/spec/"
	// SchemaURL is that of every event here.
	SchemaURL = specification + "2-0-2/OpenLineage.json#/$defs/RunEvent"
)

// RunEvent is one event.
type RunEvent struct {
	EventType string    `json:"eventType"` // START, COMPLETE, FAIL or ABORT
	EventTime time.Time `json:"eventTime"`
	Producer  string    `json:"producer"` // URI of the program that says so
	SchemaURL string    `json:"schemaURL"`
	Run       Run       `json:"run"`
	Job       Job       `json:"job"`
	Inputs    []Dataset `json:"inputs,omitempty"`
	Outputs   []Dataset `json:"outputs,omitempty"`
}

// Run is one run of a job.
type Run struct {
	RunID  string    `json:"runId"` // UUID
	Facets RunFacets `json:"facets,omitzero"`
}

// Job is what is run again and again.
type Job struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Facets    JobFacets `json:"facets,omitzero"`
}

// Dataset is what a run reads or writes. InputFacets are of inputs only,
// OutputFacets of outputs.
type Dataset struct {
	Namespace    string        `json:"namespace"`
	Name         string        `json:"name"`
	Facets       DatasetFacets `json:"facets,omitzero"`
	InputFacets  *InputFacets  `json:"inputFacets,omitempty"`
	OutputFacets *OutputFacets `json:"outputFacets,omitempty"`
}

// RunFacets is what is known of a run.
type RunFacets struct {
	Parent           *Parent           `json:"parent,omitempty"`
	NominalTime      *NominalTime      `json:"nominalTime,omitempty"`
	ProcessingEngine *ProcessingEngine `json:"processing_engine,omitempty"`
	ErrorMessage     *ErrorMessage     `json:"errorMessage,omitempty"`
}

// JobFacets is what is known of a job.
type JobFacets struct {
	JobType *JobType `json:"jobType,omitempty"`
}

// DatasetFacets is what is known of a dataset, whoever reads or writes it.
type DatasetFacets struct {
	Schema     *Schema     `json:"schema,omitempty"`
	DataSource *DataSource `json:"dataSource,omitempty"`
	Version    *Version    `json:"version,omitempty"`
}

// InputFacets is what a run has found in what it read.
type InputFacets struct {
	DataQuality *DataQualityMetrics `json:"dataQualityMetrics,omitempty"`
}

// OutputFacets is what a run says of what it wrote.
type OutputFacets struct {
	Statistics *OutputStatistics `json:"outputStatistics,omitempty"`
}

// Base is what every facet has.
type Base struct {
	Producer  string `json:"_producer"`
	SchemaURL string `json:"_schemaURL"`
}

// Parent is the run that a run is a part of.
type Parent struct {
	Base
	Run struct {
		RunID string `json:"runId"`
	} `json:"run"`
	Job struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"job"`
}

// NominalTime is the moment that a run is meant for.
type NominalTime struct {
	Base
	Start time.Time `json:"nominalStartTime"`
}

// ProcessingEngine is what carries runs out.
type ProcessingEngine struct {
	Base
	Name    string `json:"name"`
	Version string `json:"version"`
}

// ErrorMessage is why a run failed.
type ErrorMessage struct {
	Base
	Message  string `json:"message"`
	Language string `json:"programmingLanguage"`
}

// JobType is what kind of work a job is.
type JobType struct {
	Base
	ProcessingType string `json:"processingType"` // BATCH
	Integration    string `json:"integration"`
	JobType        string `json:"jobType"`
}

// Schema is a dataset's columns.
type Schema struct {
	Base
	Fields []Field `json:"fields"`
}

// Field is one column.
type Field struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Description string `json:"description,omitempty"`
}

// DataSource is where a dataset lies.
type DataSource struct {
	Base
	Name string `json:"name"`
	URI  string `json:"uri"`
}

// Version tells apart what has the same name at different times.
type Version struct {
	Base
	DatasetVersion string `json:"datasetVersion"`
}

// OutputStatistics is how much was written.
type OutputStatistics struct {
	Base
	RowCount  int64 `json:"rowCount"`
	Size      int64 `json:"size"` // bytes
	FileCount int   `json:"fileCount,omitempty"`
}

// DataQualityMetrics is what the rows of an input look like.
type DataQualityMetrics struct {
	Base
	RowCount  int64                    `json:"rowCount"`
	Bytes     int64                    `json:"bytes"`
	FileCount int                      `json:"fileCount,omitempty"`
	Columns   map[string]ColumnMetrics `json:"columnMetrics"`
}

// ColumnMetrics is what the values of a column look like. What is nil is not
// known, or not told.
type ColumnMetrics struct {
	NullCount     *int64             `json:"nullCount,omitempty"`
	DistinctCount *int64             `json:"distinctCount,omitempty"`
	Count         *int64             `json:"count,omitempty"`
	Min           *float64           `json:"min,omitempty"`
	Max           *float64           `json:"max,omitempty"`
	Quantiles     map[string]float64 `json:"quantiles,omitempty"` // by share of the rows, such as 0.5
}

// facet is the base of a facet whose schema has a version and a name.
func (p Producer) facet(version, name string) Base {
	return Base{Producer: producer, SchemaURL: specification + "facets/" + version + "/" + name + ".json#/$defs/" + name}
}
