package snapshots

import (
	"encoding/hex"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// Where everything begins.
const (
	// Prefix holds the snapshots, one directory each.
	Prefix = "snapshots/"
	// PreparationsPrefix holds what preparations have found, one directory each.
	PreparationsPrefix = "preparations/"
	// PartitionsPrefix holds where other preparations find what was found in a
	// partition: an object each that names the key of a summary.
	PartitionsPrefix = "partitions/"
	// IntentKey is where a collection says what it is about to delete.
	IntentKey = "collections/intent.json"
)

// PartitionPointer is the object under PartitionsPrefix.
type PartitionPointer struct {
	Summary string `json:"summary"` // its key
}

// ManifestKey is where a snapshot's manifest lies.
func ManifestKey(snapshot string) string { return dataset.ManifestKey(snapshot) }

// ReportKey is where all checks of a snapshot lie.
func ReportKey(snapshot string) string { return Prefix + snapshot + "/report.json" }

// StateKey is where a snapshot's state lies.
func StateKey(snapshot string) string { return Prefix + snapshot + "/" + stateName }

// The last parts of keys.
const (
	stateName    = "state.json"
	manifestName = "manifest.json"
	answer       = "snapshot.json"
)

// UsesPrefix holds a snapshot's uses.
func UsesPrefix(snapshot string) string { return Prefix + snapshot + "/uses/" }

// UseKey is where the use of a snapshot by one run of a workflow lies.
func UseKey(snapshot, workflow, run string) string {
	return UsesPrefix(snapshot) + artifact.Digest([]byte(workflow+"\x00"+run)) + ".json"
}

// PreparationPrefix holds what a preparation has found.
func PreparationPrefix(preparation string) string { return PreparationsPrefix + preparation + "/" }

// AnswerKey is where a preparation's snapshot is said.
func AnswerKey(preparation string) string { return PreparationPrefix(preparation) + answer }

// isDigest reports whether s can be a snapshot's digest.
func isDigest(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 32 && s == strings.ToLower(s)
}

// owner is the snapshot or preparation that a key belongs to, and the key's
// rest below it.
func owner(prefix, key string) (name, rest string, ok bool) {
	below, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return "", "", false
	}
	return strings.Cut(below, "/")
}
