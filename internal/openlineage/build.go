package openlineage

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Producer is the program that events come from.
type Producer struct {
	Version   string
	Namespace string // of its jobs; default: DefaultNamespace
}

const (
	// producer is the engine's home.
	producer = "https://github.com/mainspring-ml/mainspring"
	// DefaultNamespace is that of jobs.
	DefaultNamespace = "mainspring"
)

func (p Producer) withDefaults() Producer {
	p.Namespace = cmp.Or(p.Namespace, DefaultNamespace)
	p.Version = cmp.Or(p.Version, "unknown")
	return p
}

// Figures are the columns of a snapshot as its profile shows them, by the
// snapshot's URI; a snapshot without an entry has none.
type Figures map[string]map[string]ColumnMetrics

// Event puts an event into OpenLineage's words.
func (p Producer) Event(e models.LineageEvent, figures Figures) RunEvent {
	p = p.withDefaults()
	event := RunEvent{
		EventType: string(e.Type), EventTime: e.At.UTC(), Producer: producer, SchemaURL: SchemaURL,
		Run: Run{RunID: e.RunID, Facets: p.runFacets(e)},
		Job: Job{Namespace: p.Namespace, Name: e.Job, Facets: JobFacets{JobType: &JobType{
			Base: p.facet("2-0-4", "JobTypeJobFacet"), ProcessingType: "BATCH", Integration: "MAINSPRING", JobType: jobType(e),
		}}},
	}
	for _, d := range e.Inputs {
		in := p.dataset(d)
		if d.Snapshot != nil {
			in.InputFacets = &InputFacets{DataQuality: p.quality(*d.Snapshot, figures[d.URI])}
		}
		event.Inputs = append(event.Inputs, in)
	}
	for _, d := range e.Outputs {
		out := p.dataset(d)
		if s := d.Snapshot; s != nil {
			out.OutputFacets = &OutputFacets{Statistics: &OutputStatistics{
				Base: p.facet("1-0-2", "OutputStatisticsOutputDatasetFacet"), RowCount: s.Rows, Size: s.Bytes, FileCount: s.Files,
			}}
		}
		event.Outputs = append(event.Outputs, out)
	}
	return event
}

// jobType: a run with a parent is one of its tasks.
func jobType(e models.LineageEvent) string {
	if e.ParentRunID != "" {
		return "TASK"
	}
	return "JOB"
}

func (p Producer) runFacets(e models.LineageEvent) RunFacets {
	facets := RunFacets{ProcessingEngine: &ProcessingEngine{
		Base: p.facet("1-1-1", "ProcessingEngineRunFacet"), Name: "Mainspring", Version: p.Version,
	}}
	if !e.AsOf.IsZero() {
		facets.NominalTime = &NominalTime{Base: p.facet("1-0-1", "NominalTimeRunFacet"), Start: e.AsOf.UTC()}
	}
	if e.ParentRunID != "" {
		parent := &Parent{Base: p.facet("1-2-0", "ParentRunFacet")}
		parent.Run.RunID, parent.Job.Namespace, parent.Job.Name = e.ParentRunID, p.Namespace, e.ParentJob
		facets.Parent = parent
	}
	if e.Error != "" {
		facets.ErrorMessage = &ErrorMessage{Base: p.facet("1-0-1", "ErrorMessageRunFacet"), Message: e.Error, Language: "GO"}
	}
	return facets
}

func (p Producer) dataset(d models.LineageDataset) Dataset {
	namespace, name := Name(d.URI)
	dataset := Dataset{Namespace: namespace, Name: name, Facets: DatasetFacets{
		DataSource: &DataSource{Base: p.facet("1-0-1", "DatasourceDatasetFacet"), Name: namespace, URI: d.URI},
	}}
	if d.Version != "" {
		dataset.Facets.Version = &Version{Base: p.facet("1-0-1", "DatasetVersionDatasetFacet"), DatasetVersion: d.Version}
	}
	if d.Snapshot != nil {
		schema := &Schema{Base: p.facet("1-2-0", "SchemaDatasetFacet"), Fields: []Field{}}
		for _, c := range d.Snapshot.Columns {
			schema.Fields = append(schema.Fields, Field{Name: c.Name, Type: c.Type, Description: c.Role})
		}
		dataset.Facets.Schema = schema
	}
	return dataset
}

func (p Producer) quality(s models.LineageSnapshot, columns map[string]ColumnMetrics) *DataQualityMetrics {
	if columns == nil {
		columns = map[string]ColumnMetrics{} // the facet must have it
	}
	return &DataQualityMetrics{
		Base: p.facet("1-0-3", "DataQualityMetricsInputDatasetFacet"), RowCount: s.Rows, Bytes: s.Bytes, FileCount: s.Files, Columns: columns,
	}
}

// Name is a dataset's namespace and name: s3://bucket and the key, file and the
// path, and scheme, authority and path of any other URI.
func Name(uri string) (namespace, name string) {
	if rest, ok := strings.CutPrefix(uri, "s3://"); ok { // a key is written as it is, whatever it means in other URIs
		bucket, key, _ := strings.Cut(rest, "/")
		return "s3://" + bucket, cmp.Or(strings.TrimSuffix(key, "/"), "/")
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return "file", cmp.Or(uri, "/")
	}
	path := strings.TrimSuffix(u.Path, "/")
	if u.Scheme == "file" {
		return "file", cmp.Or(path, "/")
	}
	return u.Scheme + "://" + u.Host, cmp.Or(strings.TrimPrefix(path, "/"), "/")
}
