package activities

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

func auditTrail(n int, sequence int64, hash string) (records []models.Record) {
	for i := range n {
		r := models.Record{At: time.Date(2013, 8, 1+i, 0, 0, 0, 0, time.UTC), Action: models.ActionRegistered, By: "lifecycle", Reason: "a < b & c"}.Follow(sequence, hash)
		records = append(records, r)
		sequence, hash = r.Sequence, r.Hash
	}
	return records
}

func TestArchivedRecordsCanBeReadAndVerified(t *testing.T) {
	store := artifact.NewMemory("records")
	audit := &Audit{Store: store}
	records := auditTrail(5, 0, "")
	first, err := audit.ArchiveRecords(t.Context(), models.ArchiveRecordsRequest{Model: "m", Records: records[:3]})
	require.NoError(t, err)
	second, err := audit.ArchiveRecords(t.Context(), models.ArchiveRecordsRequest{Model: "m", Records: records[3:], Prior: &first})
	require.NoError(t, err)
	require.Equal(t, int64(4), second.First)
	require.Equal(t, records[4].Hash, second.Head)
	require.True(t, strings.HasPrefix(first.File.URI, "s3://records/audit/m/000000000001-000000000003-"), first.File.URI)

	content, err := artifact.ReadRef(t.Context(), store, second.File, 1<<20)
	require.NoError(t, err)
	lines := bufio.NewScanner(bytes.NewReader(content))
	require.True(t, lines.Scan())
	var header models.AuditHeader
	require.NoError(t, json.Unmarshal(lines.Bytes(), &header))
	require.Equal(t, models.AuditHeader{Format: 1, Model: "m", First: 4, Last: 5, Prior: &first}, header)
	var read []models.Record
	for lines.Scan() {
		var r models.Record
		require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
		read = append(read, r)
	}
	require.NoError(t, models.VerifyRecords(read, header.Prior.Last, header.Prior.Head))
	require.Len(t, read, 2)
}

func TestArchivingIsIdempotentAndNeverWritesOver(t *testing.T) {
	store := artifact.NewMemory("records")
	audit := &Audit{Store: store}
	request := models.ArchiveRecordsRequest{Model: "m", Records: auditTrail(3, 0, "")}
	first, err := audit.ArchiveRecords(t.Context(), request)
	require.NoError(t, err)
	again, err := audit.ArchiveRecords(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, first, again)

	key := strings.TrimPrefix(first.File.URI, "s3://records/")
	_, err = artifact.PutBytes(t.Context(), store, key, []byte("forged\n"), artifact.PutOptions{})
	require.NoError(t, err)
	_, err = audit.ArchiveRecords(t.Context(), request)
	var failed *models.Error
	require.True(t, errors.As(err, &failed))
	require.Equal(t, models.KindInvalidSpec, failed.Kind)
	require.Contains(t, failed.Message, "other content")
	there, _, err := artifact.GetBytes(t.Context(), store, key, 1<<20)
	require.NoError(t, err)
	require.Equal(t, "forged\n", string(there), "it is left for whoever looks into it")
}

func TestABrokenChainIsNotArchived(t *testing.T) {
	audit := &Audit{Store: artifact.NewMemory("records")}
	changed := auditTrail(3, 0, "")
	changed[1].Reason = "nothing to see"
	prior := models.AuditSegment{Last: 2, Head: "another head"}
	for name, request := range map[string]models.ArchiveRecordsRequest{
		"none":                           {Model: "m"},
		"changed":                        {Model: "m", Records: changed},
		"missing":                        {Model: "m", Records: auditTrail(3, 0, "")[1:]},
		"does not follow what is before": {Model: "m", Records: auditTrail(3, 2, "a head"), Prior: &prior},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := audit.ArchiveRecords(t.Context(), request)
			var failed *models.Error
			require.True(t, errors.As(err, &failed), "%v", err)
			require.Equal(t, models.KindInvalidSpec, failed.Kind)
		})
	}
}
