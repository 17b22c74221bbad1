package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// recordsKept stay in the steward, the newest; once there are archiveAt, the
	// older ones become a segment in the artifact store.
	recordsKept = 200
	archiveAt   = 250
	// segmentMost keeps a segment's payload far below Temporal's limit when many
	// have waited for the store.
	segmentMost = 100
	// evaluationFile is the file with all figures, among a run's artifacts.
	evaluationFile = "evaluation/evaluation.json"
)

// record appends to the audit trail and returns the record's number.
func (s *steward) record(ctx workflow.Context, r models.Record) int64 {
	sequence, head := s.head()
	r.At = workflow.Now(ctx)
	r.Reason = clip(r.Reason, longestReason) // an error may quote a whole log
	r = r.Follow(sequence, head)
	s.state.Records = append(s.state.Records, r)
	return r.Sequence
}

// head is what the next record follows.
func (s *steward) head() (sequence int64, hash string) {
	if n := len(s.state.Records); n > 0 {
		return s.state.Records[n-1].Sequence, s.state.Records[n-1].Hash
	}
	if s.state.Archive != nil {
		return s.state.Archive.Last, s.state.Archive.Head
	}
	return 0, ""
}

// archive moves the oldest records to the artifact store whenever there are too
// many. They are dropped here once they are there, and never before.
func (s *steward) archive(ctx workflow.Context) {
	limit := archiveAt
	for workflow.Await(ctx, func() bool { return len(s.state.Records) >= limit }) == nil {
		s.busy++
		oldest := s.state.Records[:min(len(s.state.Records)-recordsKept, segmentMost)]
		segment, err := call(quick(ctx, "Archive records"), models.Audit.ArchiveRecords, models.ArchiveRecordsRequest{
			Model: s.state.Model, Records: oldest, Prior: s.state.Archive,
		})
		if err == nil {
			s.state.Archive = &segment
			s.state.Records = append([]models.Record{}, s.state.Records[len(oldest):]...)
			limit = archiveAt
		} else {
			s.must(ctx, fmt.Errorf("records %d to %d are not archived, and kept here: %w",
				oldest[0].Sequence, oldest[len(oldest)-1].Sequence, err))
			limit = len(s.state.Records) + archiveAt - recordsKept // again when so many more have come
		}
		s.busy--
	}
}

// recorded are the aliases as they should be.
func (s *steward) recorded() map[string]string {
	found := s.recordedAll()
	for _, alias := range stewardAliases() {
		if found[alias] == "" {
			delete(found, alias)
		}
	}
	return found
}

// evidenceOf names what a decision about a version rests on.
func evidenceOf(v models.ModelVersion, verdict models.Verdict) *models.RecordEvidence {
	c := v.Candidate
	e := &models.RecordEvidence{
		Verdict: verdict, RunID: c.RunID, Snapshot: c.Snapshot, Model: c.Artifact.Manifest.SHA256, Code: c.CodeSHA256, Spec: c.SpecSHA256,
	}
	if v.Signature != nil {
		e.Signature = v.Signature.Bundle.SHA256
	}
	for _, f := range c.Evidence {
		if f.Name == evaluationFile {
			e.Evaluation = f.SHA256
		}
	}
	return e
}
