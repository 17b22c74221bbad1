package models

import (
	"context"
	"time"
)

// PrepareDataInput is the input of the PrepareData workflow.
type PrepareDataInput struct {
	Model string   `json:"model"`
	Data  DataSpec `json:"data"` // AsOf set
}

// Snapshot is prepared data: Parquet files in the artifact store and a
// manifest that names them. Its identity is the manifest's digest: the same
// rows and spec give the same digest on any machine.
type Snapshot struct {
	Manifest Ref           `json:"manifest"` // manifest.json; its SHA256 is the snapshot's
	Train    Span          `json:"train"`
	Test     Span          `json:"test"`
	Columns  []Column      `json:"columns"`
	Files    int           `json:"files"`
	Bytes    int64         `json:"bytes"`
	Checks   []CheckResult `json:"checks"`
	Reused   bool          `json:"reused"` // the same snapshot was there already
}

// SHA256 identifies the snapshot.
func (s Snapshot) SHA256() string { return s.Manifest.SHA256 }

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
	Role string `json:"role"` // key, time, label, label_time or feature
}

// DataCheckNames lists the data checks there are, in the order in which they
// are made.
func DataCheckNames() []string {
	return []string{"schema", "rows", "nulls", "range", "label", "time_order", "unique"}
}

// CheckResult is the answer of one data check.
type CheckResult struct {
	Check   string  `json:"check"` // one of DataCheckNames
	Column  string  `json:"column,omitempty"`
	Passed  bool    `json:"passed"`
	Figure  float64 `json:"figure"` // what was seen
	Limit   float64 `json:"limit"`  // what was allowed
	Message string  `json:"message"`
}

// SnapshotManifest is the content of manifest.json.
type SnapshotManifest struct {
	Format  int            `json:"format"` // 1
	Columns []Column       `json:"columns"`
	Train   Span           `json:"train"`
	Test    Span           `json:"test"`
	Files   []SnapshotFile `json:"files"` // sorted by path
}

// SnapshotFile is one Parquet file: path is train/<name> or test/<name>.
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
}

// PartitionList is what a source holds, sorted by URI.
type PartitionList struct {
	Partitions []Partition `json:"partitions"`
}

// PreparePartitionRequest asks for one partition's share of a snapshot.
type PreparePartitionRequest struct {
	Data      DataSpec  `json:"data"`
	Partition Partition `json:"partition"`
}

// PartitionSummary is mergeable: counts add up, files are appended.
type PartitionSummary struct {
	Columns []Column               `json:"columns"`
	Files   []SnapshotFile         `json:"files"`   // none when the window misses the partition
	Rows    int64                  `json:"rows"`    // read inside the window
	Unknown int64                  `json:"unknown"` // left out: label not known at AsOf
	Tallies map[string]ColumnTally `json:"tallies"` // by column
}

// ColumnTally counts what the checks need to know about one column.
type ColumnTally struct {
	Rows  int64    `json:"rows"`
	Nulls int64    `json:"nulls"`
	Min   *float64 `json:"min,omitempty"` // numbers, and times as Unix seconds
	Max   *float64 `json:"max,omitempty"`
	// Example is one of the values that a check counts, the first in the order
	// of bytes.
	Example string `json:"example,omitempty"`
}

// WriteSnapshotRequest joins the partitions' summaries.
type WriteSnapshotRequest struct {
	Data       DataSpec           `json:"data"`
	Partitions []PartitionSummary `json:"partitions"`
}

// DataPreparation reads source partitions and writes snapshots. Every method
// is idempotent: its output is content-addressed.
type DataPreparation interface {
	ListPartitions(context.Context, DataSpec) (PartitionList, error)
	// PreparePartition fails with KindInvalidSpec when a declared column is
	// missing or has an unusable type.
	PreparePartition(context.Context, PreparePartitionRequest) (PartitionSummary, error)
	// WriteSnapshot fails with KindNoRows or KindDataCheckFailed.
	WriteSnapshot(context.Context, WriteSnapshotRequest) (Snapshot, error)
}
