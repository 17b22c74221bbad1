package models

import (
	"context"
	"time"
)

// PrepareDataInput is the input of the PrepareData workflow.
type PrepareDataInput struct {
	Model string   `json:"model"`
	Data  DataSpec `json:"data"` // AsOf set
	// Baseline is what the rows are held against; nil: there is none yet.
	Baseline *Baseline `json:"baseline,omitempty"`
	// Served is the traffic that the rows are held against; nil: there is none.
	Served *Served `json:"served,omitempty"`
	// Lifecycle and LifecycleRun are the workflow that the snapshot is for; empty:
	// PrepareData itself.
	Lifecycle    string `json:"lifecycle,omitempty"`
	LifecycleRun string `json:"lifecycle_run,omitempty"`
}

// Baseline is the profile of the rows that a model version was trained on.
type Baseline struct {
	Version string `json:"version"`
	Profile Ref    `json:"profile"`
}

// Served is what an endpoint has answered.
type Served struct {
	Endpoint string `json:"endpoint"`
	Version  string `json:"version"` // that was trained to see these inputs
}

// PreparationStatus answers StatusQuery on a PrepareData.
type PreparationStatus struct {
	State string `json:"state"` // what is being done, for people
	// ID names the preparation: the same source, spec and baseline have the same.
	ID string `json:"id,omitempty"`
	// RawID names it as it was before the preparing program had run, if there is
	// one: what the program has left is kept under it.
	RawID      string `json:"raw_id,omitempty"`
	Partitions int    `json:"partitions"` // of the source
	Tasks      int    `json:"tasks"`      // that they are divided into
	Done       int    `json:"done"`       // tasks
	// Transformed counts the runs of the preparing program that have ended.
	Transformed int       `json:"transformed,omitempty"`
	Snapshot    *Snapshot `json:"snapshot,omitempty"`
}

// Snapshot is prepared data: Parquet files in the artifact store and a
// manifest that names them. Its identity is the manifest's digest: the same
// rows and spec give the same digest on any machine.
type Snapshot struct {
	Manifest Ref      `json:"manifest"` // manifest.json; its SHA256 is the snapshot's
	Train    Span     `json:"train"`
	Test     Span     `json:"test"`
	Columns  []Column `json:"columns"`
	Files    int      `json:"files"`
	Bytes    int64    `json:"bytes"`
	// Checks are the failed ones and a summary of the others, at most
	// MaxSnapshotChecks; Report has all of them.
	Checks []CheckResult `json:"checks"`
	Report Ref           `json:"report,omitzero"`
	// Profile is what the snapshot's rows look like.
	Profile Ref  `json:"profile,omitzero"`
	Reused  bool `json:"reused"` // the same snapshot was there already
	// Unread says that the source and the spec were known to give this snapshot, so
	// that nothing was read.
	Unread bool `json:"unread,omitempty"`
}

// MaxSnapshotChecks bounds the check results that travel with a snapshot.
const MaxSnapshotChecks = 24

// SHA256 identifies the snapshot.
func (s Snapshot) SHA256() string { return s.Manifest.SHA256 }

// Warnings are the checks that failed and did not stop the preparation.
func (s Snapshot) Warnings() (failed []CheckResult) {
	for _, c := range s.Checks {
		if !c.Passed && c.Skipped == "" {
			failed = append(failed, c)
		}
	}
	return failed
}

// Origin says, for people, whether the snapshot is new; empty: it is.
func (s Snapshot) Origin() string {
	switch {
	case s.Unread:
		return "known from before: source and spec are unchanged, nothing was read"
	case s.Reused:
		return "the same as one from before: the rows were read and are unchanged"
	default:
		return ""
	}
}

// Span counts rows and bounds their event times; From is inclusive and To
// exclusive, as asked for by the spec, not as found.
type Span struct {
	Rows int64     `json:"rows"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Column is one column of a snapshot. Type is string, int64, float64, bool or
// timestamp.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Role string `json:"role"` // key, time, label, label_time, feature or extra
}

// DataCheckNames lists the data checks there are, in the order in which they
// are made.
func DataCheckNames() []string {
	return []string{
		"schema", "new_column", "rows", "freshness", "nulls", "null_rise", "range", "allowed", "unseen", "label", "time_order",
		"leakage", "unique", "duplicates", "skew", "shift",
	}
}

// CheckResult is the answer of one data check.
type CheckResult struct {
	Check    string   `json:"check"` // one of DataCheckNames
	Column   string   `json:"column,omitempty"`
	Severity Severity `json:"severity,omitempty"`
	Passed   bool     `json:"passed"`
	// Skipped says why the check could not be made; empty: it was.
	Skipped string  `json:"skipped,omitempty"`
	Figure  float64 `json:"figure"` // what was seen
	Limit   float64 `json:"limit"`  // what was allowed
	Message string  `json:"message"`
	// Rows are the first offending rows, at most MaxOffendingRows.
	Rows []OffendingRow `json:"rows,omitempty"`
}

// MaxOffendingRows bounds the rows that a failed check names.
const MaxOffendingRows = 5

// OffendingRow is a row that a check complains of.
type OffendingRow struct {
	File string `json:"file"` // below the source
	Row  int64  `json:"row"`  // 1 for the first; a line of a text file
	// Value is what is there, shortened; Masked if the column is sensitive.
	Value string `json:"value,omitempty"`
}

// Masked stands where a value is not shown.
const Masked = "•••"

// CheckReport is every check of a preparation, the object that Snapshot.Report
// points at.
type CheckReport struct {
	Format  int           `json:"format"` // 1
	Source  string        `json:"source"`
	AsOf    time.Time     `json:"as_of"`
	Train   Span          `json:"train"`
	Test    Span          `json:"test"`
	Unknown int64         `json:"unknown"` // rows left out: label not known at AsOf
	Checks  []CheckResult `json:"checks"`
}

// SnapshotManifest is the content of manifest.json.
type SnapshotManifest struct {
	Format  int            `json:"format"` // 1
	Columns []Column       `json:"columns"`
	Train   Span           `json:"train"`
	Test    Span           `json:"test"`
	Files   []SnapshotFile `json:"files"` // sorted by path
	// Profile is what the rows look like; its URI is empty, see SnapshotFile.
	Profile Ref `json:"profile,omitzero"`
}

// SnapshotFile is one Parquet file: path is train/<name> or test/<name>. Its
// URI is empty in a manifest: the digest says where the file lies.
type SnapshotFile struct {
	Path string `json:"path"`
	Rows int64  `json:"rows"`
	Ref
}

// Partition is one source file.
type Partition struct {
	URI  string `json:"uri"`
	ETag string `json:"etag"`
	Size int64  `json:"size"`
	// Name is the file's path below the source, if the URI does not say it: that of
	// a transformed partition is its digest.
	Name string `json:"name,omitempty"`
}

// PartitionList is what a source holds. The partitions are in the listing
// object, a JSON list of Partition sorted by name; tasks divide them.
type PartitionList struct {
	// ID names the preparation: a digest of source, spec, baseline and traffic.
	ID      string          `json:"id"`
	Listing Ref             `json:"listing"`
	Count   int             `json:"count"`
	Bytes   int64           `json:"bytes"`
	Tasks   []PartitionTask `json:"tasks"` // at most MaxPartitionTasks
}

// PartitionTask is partitions From (inclusive) to To (exclusive) of a listing.
type PartitionTask struct {
	From  int   `json:"from"`
	To    int   `json:"to"`
	Bytes int64 `json:"bytes"`
}

// MaxPartitionTasks keeps a preparation's history and payloads small.
const MaxPartitionTasks = 400

// ListPartitionsRequest asks what a source holds.
type ListPartitionsRequest struct {
	Data     DataSpec  `json:"data"`
	Baseline *Baseline `json:"baseline,omitempty"`
	Served   *Served   `json:"served,omitempty"`
}

// Preparation is what all steps of a preparation are told.
type Preparation struct {
	ID       string    `json:"id"`
	Listing  Ref       `json:"listing"`
	Data     DataSpec  `json:"data"`
	Baseline *Baseline `json:"baseline,omitempty"`
	Served   *Served   `json:"served,omitempty"`
}

// PreparePartitionsRequest asks for some partitions' share of a snapshot.
type PreparePartitionsRequest struct {
	Preparation Preparation   `json:"preparation"`
	Task        PartitionTask `json:"task"`
}

// PartitionsPrepared says how far a task came. What it found is kept under the
// preparation's ID, one object per partition.
type PartitionsPrepared struct {
	Rows    int64 `json:"rows"`    // read inside the window
	Unknown int64 `json:"unknown"` // left out: label not known at AsOf
	Reused  int   `json:"reused"`  // partitions that an earlier attempt had done
}

// FindSnapshotRequest asks whether a preparation has been carried out before.
type FindSnapshotRequest struct {
	Preparation Preparation `json:"preparation"`
	Use         SnapshotUse `json:"use"` // recorded if it is found
}

// FindSnapshotResult has the snapshot; nil: there is none, or not any more.
type FindSnapshotResult struct {
	Snapshot *Snapshot `json:"snapshot,omitempty"`
}

// WriteSnapshotRequest joins what the tasks have found.
type WriteSnapshotRequest struct {
	Preparation Preparation `json:"preparation"`
	Count       int         `json:"count"` // of partitions in the listing
	Use         SnapshotUse `json:"use"`
}

// SnapshotUse says who uses a snapshot, and since when. It is an object beside
// the snapshot.
type SnapshotUse struct {
	Snapshot string `json:"snapshot_sha256"`
	Model    string `json:"model"`
	// Workflow and Run are the lifecycle, or the preparation that was started alone.
	Workflow string `json:"workflow"`
	Run      string `json:"run"`
	// Namespace is Temporal's that it runs in; empty: not known, that of whoever asks.
	Namespace string    `json:"namespace,omitempty"`
	At        time.Time `json:"at"` // wall clock
	// Retention is the spec's; 0: for ever.
	Retention Duration `json:"retention,omitempty"`
	// Source, Listing, Code and SpecSHA256 say what it was made of.
	Source     string `json:"source"`
	Listing    Ref    `json:"listing"`
	Raw        Ref    `json:"raw,omitzero"`          // listing before the preparing program; zero: there was none
	CodeSHA256 string `json:"code_sha256,omitempty"` // of the preparing program
	SpecSHA256 string `json:"spec_sha256"`           // of the data section
	// Baseline is the version that the rows were held against; empty: none.
	Baseline string `json:"baseline,omitempty"`
}

// DataPreparation reads source partitions and writes snapshots. Every method
// is idempotent: its output is content-addressed, or kept under the
// preparation's ID.
type DataPreparation interface {
	// ListPartitions fails with KindInvalidSpec when there is nothing.
	ListPartitions(context.Context, ListPartitionsRequest) (PartitionList, error)
	// FindTransformed looks which runs of the preparing program are left to do: what
	// the same program has made of the same files is used again.
	FindTransformed(context.Context, FindTransformedRequest) (FindTransformedResult, error)
	// ListTransformed lists what the preparing program's runs have left.
	ListTransformed(context.Context, ListTransformedRequest) (PartitionList, error)
	FindSnapshot(context.Context, FindSnapshotRequest) (FindSnapshotResult, error)
	// PreparePartitions fails with KindInvalidSpec when a declared column is
	// missing or has an unusable type, or a file can't be read.
	PreparePartitions(context.Context, PreparePartitionsRequest) (PartitionsPrepared, error)
	// WriteSnapshot fails with KindNoRows or KindDataCheckFailed; the details are
	// a list of CheckResult.
	WriteSnapshot(context.Context, WriteSnapshotRequest) (Snapshot, error)
}

// TransformRequest asks a host to run the preparing program once.
type TransformRequest struct {
	Key   string    `json:"key"`   // names the job in paths: hex, the same for all attempts
	Token int64     `json:"token"` // the lease's fencing token; 0: no lease
	Node  LeaseNode `json:"node"`  // without a lease only its name is set
	// Preparation is that of the raw partitions, Task those that this run sees.
	Preparation Preparation   `json:"preparation"`
	Task        PartitionTask `json:"task"`
}

// TransformResult refers to what the program has left: a JSON list of
// Partition, sorted by name.
type TransformResult struct {
	Listing Ref     `json:"listing"`
	Count   int     `json:"count"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

// FindTransformedRequest names the tasks that are asked about.
type FindTransformedRequest struct {
	Raw   Preparation     `json:"raw"`
	Tasks []PartitionTask `json:"tasks"`
}

// FindTransformedResult has the tasks for which the program has to be run.
type FindTransformedResult struct {
	Missing []PartitionTask `json:"missing,omitempty"`
}

// ListTransformedRequest names the tasks whose results are joined: that of each
// is kept under the raw preparation's ID.
type ListTransformedRequest struct {
	Raw   Preparation     `json:"raw"`
	Tasks []PartitionTask `json:"tasks"`
}
