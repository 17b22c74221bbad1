package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// auditFormat is the version of a segment's layout.
const auditFormat = 1

// Audit archives the records of stewards in the artifact store.
type Audit struct {
	Store artifact.Store
}

var _ models.Audit = (*Audit)(nil)

// ArchiveRecords writes one segment: JSON lines, the header first. Its name has
// the sequence numbers and the hash of the last record, so the same records go
// to the same object, and an object that is there is never written over.
func (a *Audit) ArchiveRecords(ctx context.Context, request models.ArchiveRecordsRequest) (models.AuditSegment, error) {
	segment, err := segmentOf(request)
	if err != nil {
		return models.AuditSegment{}, err
	}
	content, err := segmentLines(request, segment)
	if err != nil {
		return models.AuditSegment{}, err
	}
	key := segmentKey(request.Model, segment)
	segment.File = models.Ref{URI: artifact.URI(a.Store, key), SHA256: artifact.Digest(content), Size: int64(len(content))}
	_, err = artifact.PutBytes(ctx, a.Store, key, content, artifact.PutOptions{IfAbsent: true, ContentType: "application/jsonl"})
	if errors.Is(err, artifact.ErrPreconditionFailed) {
		return segment, a.sameAs(ctx, key, segment)
	}
	if err != nil {
		return models.AuditSegment{}, unavailable(segment.File.URI, "the records can't be archived", err)
	}
	return segment, nil
}

// segmentOf refuses records that are not a chain, or do not follow the segment
// before: an archive must not hide that something is missing.
func segmentOf(request models.ArchiveRecordsRequest) (models.AuditSegment, error) {
	refuse := func(message string) (models.AuditSegment, error) {
		return models.AuditSegment{}, &models.Error{Kind: models.KindInvalidSpec, Subject: "records of " + request.Model, Message: message,
			Hint: "`mainspring audit verify` says where the chain breaks"}
	}
	if len(request.Records) == 0 {
		return refuse("there are none to archive")
	}
	sequence, head := int64(0), ""
	if request.Prior != nil {
		sequence, head = request.Prior.Last, request.Prior.Head
	}
	if err := models.VerifyRecords(request.Records, sequence, head); err != nil {
		return refuse(err.Error())
	}
	first, last := request.Records[0], request.Records[len(request.Records)-1]
	return models.AuditSegment{First: first.Sequence, Last: last.Sequence, Head: last.Hash}, nil
}

func segmentLines(request models.ArchiveRecordsRequest, segment models.AuditSegment) ([]byte, error) {
	var content bytes.Buffer
	lines := json.NewEncoder(&content)
	header := models.AuditHeader{Format: auditFormat, Model: request.Model, First: segment.First, Last: segment.Last, Prior: request.Prior}
	if err := lines.Encode(header); err != nil {
		return nil, fmt.Errorf("write the header of records %d to %d: %w", segment.First, segment.Last, err)
	}
	for _, r := range request.Records {
		if err := lines.Encode(r); err != nil {
			return nil, fmt.Errorf("write record %d: %w", r.Sequence, err)
		}
	}
	return content.Bytes(), nil
}

// segmentKey sorts like the sequence numbers.
func segmentKey(model string, s models.AuditSegment) string {
	return fmt.Sprintf("%s%012d-%012d-%.12s.jsonl", models.AuditPrefix(model), s.First, s.Last, s.Head)
}

// sameAs: an object that is there already must have the same bytes.
func (a *Audit) sameAs(ctx context.Context, key string, segment models.AuditSegment) error {
	there, _, err := artifact.GetBytes(ctx, a.Store, key, 64<<20)
	if err != nil {
		return unavailable(segment.File.URI, "the archived records can't be read", err)
	}
	if artifact.Digest(there) != segment.File.SHA256 {
		return &models.Error{Kind: models.KindInvalidSpec, Subject: segment.File.URI,
			Message: "is there already with other content", Hint: "somebody wrote to the archive; compare it with the steward's records, and move it away"}
	}
	return nil
}
