package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// history is n records whose last alias move is the last record.
func history(n int) []models.Record {
	var records []models.Record
	sequence, hash := int64(0), ""
	for i := range n {
		r := models.Record{At: time.Date(2026, 11, 25, 12, 0, i, 7, time.UTC), Action: models.ActionRegistered, Version: fmt.Sprint(i + 1),
			By: "kim", Reason: `a < b & "c"` + "\u2028", Aliases: map[string]string{"champion": fmt.Sprint(i + 1), "previous": ""}}.Follow(sequence, hash)
		records = append(records, r)
		sequence, hash = r.Sequence, r.Hash
	}
	return records
}

// archive stores records as segments that end at the given sequence numbers,
// and returns the newest. spoil changes a header on its way.
func archive(t *testing.T, store artifact.Store, records []models.Record, ends []int, spoil func(*models.AuditHeader)) *models.AuditSegment {
	t.Helper()
	var prior *models.AuditSegment
	from := 0
	for _, end := range ends {
		header := models.AuditHeader{Format: 1, Model: "delay", First: records[from].Sequence, Last: records[end-1].Sequence, Prior: prior}
		first, last := header.First, header.Last
		if spoil != nil {
			spoil(&header)
		}
		text, err := json.Marshal(header)
		require.NoError(t, err)
		text = append(text, '\n')
		for _, r := range records[from:end] {
			line, err := RecordLine(r)
			require.NoError(t, err)
			text = append(append(text, line...), '\n')
		}
		key := fmt.Sprintf("%s%08d.jsonl", models.AuditPrefix("delay"), first)
		_, err = artifact.PutBytes(t.Context(), store, key, text, artifact.PutOptions{})
		require.NoError(t, err)
		prior = &models.AuditSegment{First: first, Last: last, Head: records[end-1].Hash,
			File: models.Ref{URI: artifact.URI(store, key), SHA256: artifact.Digest(text), Size: int64(len(text))}}
		from = end
	}
	return prior
}

// trailOf has 9 records, 6 of them in two archived parts.
func trailOf(t *testing.T, store artifact.Store, last int) Trail {
	t.Helper()
	all := history(9)
	state := models.StewardState{Champion: "9", Records: all[6:], Archive: archive(t, store, all, []int{4, 6}, nil)}
	trail, err := newTestClient(t, withSteward(models.StewardStatus{StewardState: state})).Audit(t.Context(), "delay", store, last)
	require.NoError(t, err)
	return trail
}

func TestAuditReadsTheWholeTrail(t *testing.T) {
	trail := trailOf(t, artifact.NewMemory("bucket"), 0)
	require.Equal(t, history(9), trail.Records())
	require.Equal(t, AuditReport{Model: "delay", Records: 9, Segments: 2, Head: history(9)[8].Hash}, trail.Verify())
	require.True(t, trail.Verify(history(9)[2].Hash).Holds())
}

func TestAuditReadsNoMoreThanIsAskedFor(t *testing.T) {
	require.Len(t, trailOf(t, artifact.NewMemory("bucket"), 3).Segments, 0)
	require.Len(t, trailOf(t, artifact.NewMemory("bucket"), 4).Segments, 1)
}

// TestEveryChangeIsFound changes one thing at a time; the first place that does
// not hold is named.
func TestEveryChangeIsFound(t *testing.T) {
	changed := func(i int, change func(*models.Record)) func(*Trail) {
		return func(trail *Trail) {
			for s := range trail.Segments {
				if n := len(trail.Segments[s].Records); i >= n {
					i -= n
					continue
				}
				change(&trail.Segments[s].Records[i])
				return
			}
			change(&trail.Own[i])
		}
	}
	for name, c := range map[string]struct {
		change   func(*Trail)
		sequence int64
		want     string
	}{
		"reason in the archive":   {changed(2, func(r *models.Record) { r.Reason = "x" }), 3, "record 3 (registered, 2026-11-25T12:00:02Z) does not match its hash"},
		"who, of the newest":      {changed(8, func(r *models.Record) { r.By = "x" }), 9, "record 9 "},
		"aliases":                 {changed(4, func(r *models.Record) { r.Aliases = nil }), 5, "does not match its hash"},
		"made anew, not the rest": {changed(4, func(r *models.Record) { r.By = "x"; r.Hash = r.Digest() }), 6, "record 6 names"},
		"one left out":            {func(trail *Trail) { trail.Own = trail.Own[1:] }, 8, "record 8 follows record 6"},
		"one twice":               {func(trail *Trail) { trail.Own = append(trail.Own[:1], trail.Own...) }, 7, "record 7 follows record 7"},
		"archive left out":        {func(trail *Trail) { trail.Segments = nil }, 7, "the first record here is number 7"},
		"oldest part left out":    {func(trail *Trail) { trail.Segments = trail.Segments[1:] }, 5, "it is the oldest part and begins with record 5"},
		"a part left out": {func(trail *Trail) {
			trail.Segments[1].First = 6
			trail.Segments[1].Header.First = 6
			trail.Segments[1].Records = trail.Segments[1].Records[1:]
		}, 6, "begins with record 6, and the part before ends with 4"},
		"another model":       {func(trail *Trail) { trail.Segments[0].Header.Model = "x" }, 1, "its header is of the model x"},
		"numbers of a header": {func(trail *Trail) { trail.Segments[0].Header.Last = 5 }, 1, "its header says records 1 to 5"},
		"a format to come":    {func(trail *Trail) { trail.Segments[0].Header.Format = 2 }, 1, "its format is 2"},
		"fewer than it says":  {func(trail *Trail) { trail.Segments[0].Records = trail.Segments[0].Records[:3] }, 1, "it has 3 records"},
		"the head of a part":  {func(trail *Trail) { trail.Segments[0].Head = "00" }, 1, "what refers to it says 00"},
	} {
		t.Run(name, func(t *testing.T) {
			trail := trailOf(t, artifact.NewMemory("bucket"), 0)
			c.change(&trail)
			report := trail.Verify()
			require.NotNil(t, report.Broken)
			require.Equal(t, c.sequence, report.Broken.Sequence, report.Broken.Problem)
			require.Contains(t, report.Broken.Problem, c.want)
			require.False(t, report.Holds())
		})
	}
}

func TestANotedHeadMustStillBeThere(t *testing.T) {
	trail := trailOf(t, artifact.NewMemory("bucket"), 0)
	noted := trail.Own[2].Hash
	r := trail.Own[2]
	r.By = "somebody else"
	trail.Own[2] = r.Follow(trail.Own[1].Sequence, trail.Own[1].Hash) // the chain holds in itself
	require.True(t, trail.Verify().Holds())
	require.Contains(t, trail.Verify(noted).Broken.Problem, "the chain was made anew, or ends before it")
}

func TestDamagedArchive(t *testing.T) {
	all := history(9)
	for name, c := range map[string]struct {
		damage func(*artifact.Memory, *models.AuditSegment)
		want   string
	}{
		"gone": {func(m *artifact.Memory, at *models.AuditSegment) {
			require.NoError(t, m.Delete(t.Context(), strings.TrimPrefix(at.File.URI, "s3://bucket/")))
		}, "not found"},
		"overwritten": {func(m *artifact.Memory, at *models.AuditSegment) {
			_, err := artifact.PutBytes(t.Context(), m, strings.TrimPrefix(at.File.URI, "s3://bucket/"), []byte("{}\n"), artifact.PutOptions{})
			require.NoError(t, err)
		}, "content differs from its digest"},
		"no header": {func(m *artifact.Memory, at *models.AuditSegment) { replace(t, m, at, "") }, "the first line is no header"},
		"no record": {func(m *artifact.Memory, at *models.AuditSegment) { replace(t, m, at, `{"format":1}`+"\n[]\n") }, "line 2: no line of an audit trail"},
		"a field that no hash covers": {func(m *artifact.Memory, at *models.AuditSegment) {
			line, err := RecordLine(all[4])
			require.NoError(t, err)
			replace(t, m, at, `{"format":1}`+"\n"+`{"approved":true,`+string(line[1:])+"\n")
		}, "not as mainspring writes a record"},
	} {
		t.Run(name, func(t *testing.T) {
			store := artifact.NewMemory("bucket")
			newest := archive(t, store, all, []int{4, 6}, nil)
			c.damage(store, newest)
			state := models.StewardState{Champion: "9", Records: all[6:], Archive: newest}
			trail, err := newTestClient(t, withSteward(models.StewardStatus{StewardState: state})).Audit(t.Context(), "delay", store, 0)
			require.NoError(t, err)
			report := trail.Verify()
			require.NotNil(t, report.Broken)
			require.Equal(t, int64(6), report.Broken.Sequence)
			require.Contains(t, report.Broken.Problem, c.want)
			require.Equal(t, newest.File.URI, report.Broken.Where)
		})
	}
}

// replace stores other bytes under a reference that fits them.
func replace(t *testing.T, store artifact.Store, at *models.AuditSegment, text string) {
	t.Helper()
	_, err := artifact.PutBytes(t.Context(), store, strings.TrimPrefix(at.File.URI, "s3://bucket/"), []byte(text), artifact.PutOptions{})
	require.NoError(t, err)
	at.File.SHA256, at.File.Size = artifact.Digest([]byte(text)), int64(len(text))
}

func TestAChainOfPartsThatGoesRoundEnds(t *testing.T) {
	store, all := artifact.NewMemory("bucket"), history(9)
	newest := archive(t, store, all, []int{4, 6}, func(h *models.AuditHeader) {
		if h.Prior == nil {
			h.Prior = &models.AuditSegment{First: 1, Last: 4, File: models.Ref{URI: "s3://bucket/x"}}
		}
	})
	state := models.StewardState{Records: all[6:], Archive: newest}
	trail, err := newTestClient(t, withSteward(models.StewardStatus{StewardState: state})).Audit(t.Context(), "delay", store, 0)
	require.NoError(t, err)
	require.Contains(t, trail.Verify().Broken.Problem, "as those before its first, 1")
}

// TestAStoreThatDoesNotAnswerIsNoBreak: a failed look proves nothing.
func TestAStoreThatDoesNotAnswerIsNoBreak(t *testing.T) {
	state := models.StewardState{Archive: &models.AuditSegment{First: 1, Last: 4, File: models.Ref{URI: "file:///nowhere"}}}
	_, err := newTestClient(t, withSteward(models.StewardStatus{StewardState: state})).Audit(t.Context(), "delay", artifact.NewMemory("bucket"), 0)
	require.ErrorContains(t, err, "archived records 1 to 4: ")
}

func TestAliasesAreHeldAgainstTheRecord(t *testing.T) {
	trail := trailOf(t, artifact.NewMemory("bucket"), 0)
	trail.Aliases = map[string]string{"champion": "8", "challenger": "9"}
	report := trail.Verify()
	require.Equal(t, "record 9 (registered) left champion 9; the steward has challenger 9, champion 8", report.Aliases)
	require.False(t, report.Holds())

	trail.Doing = "promoting version 9"
	require.Equal(t, "aliases were not compared: the steward is promoting version 9", trail.Verify().Note)
	require.True(t, trail.Verify().Holds())

	require.Equal(t, "no record moves any none; the steward has champion 1", Trail{Aliases: map[string]string{"champion": "1"}}.Verify().Aliases)
	require.True(t, Trail{}.Verify().Holds())
}

// TestAnotherHandMovesNoRecordedAlias: its record has what MLflow had.
func TestAnotherHandMovesNoRecordedAlias(t *testing.T) {
	own := history(2)
	moved := models.Record{Action: models.ActionAliasMoved, By: "another hand", Aliases: map[string]string{"champion": "1"}}
	trail := Trail{Own: append(own, moved.Follow(2, own[1].Hash)), Aliases: map[string]string{"champion": "2"}}
	require.True(t, trail.Verify().Holds(), trail.Verify())
}

// TestNoAliasLeft: a first version that is rolled back leaves none, which is
// something else than a record that moves none.
func TestNoAliasLeft(t *testing.T) {
	own := history(2)
	back := models.Record{Action: models.ActionRolledBack, Aliases: map[string]string{}}.Follow(2, own[1].Hash)
	line, err := RecordLine(back)
	require.NoError(t, err)
	require.Contains(t, string(line), `"aliases":{}`)
	read, err := readLine(line)
	require.NoError(t, err)
	require.Equal(t, back, *read.record)
	require.True(t, Trail{Own: append(own, *read.record)}.Verify().Holds())

	asked := models.Record{Action: models.ActionApprovalAsked}.Follow(2, own[1].Hash)
	require.False(t, Trail{Own: append(own, asked)}.Verify().Holds())
}

func TestVerifyExport(t *testing.T) {
	all := history(4)
	export := func(records []models.Record) []byte {
		var text []byte
		for _, r := range records {
			line, err := RecordLine(r)
			require.NoError(t, err)
			text = append(append(text, line...), '\n')
		}
		return text
	}
	report, err := VerifyExport(bytes.NewReader(export(all)), all[1].Hash)
	require.NoError(t, err)
	require.Equal(t, AuditReport{Records: 4, Head: all[3].Hash}, report)

	header := `{"format":1,"model":"delay","first":3,"last":4}` + "\n"
	both := append(append(export(all[:2]), header...), export(all[2:])...)
	report, err = VerifyExport(bytes.NewReader(both))
	require.NoError(t, err)
	require.Equal(t, AuditReport{Model: "delay", Records: 4, Segments: 1, Head: all[3].Hash}, report)

	report, err = VerifyExport(strings.NewReader(header + string(export(all))))
	require.NoError(t, err)
	require.Contains(t, report.Broken.Problem, "begins with record 3 where record 1 should follow")

	report, err = VerifyExport(bytes.NewReader(export(all[1:])))
	require.NoError(t, err)
	require.Contains(t, report.Broken.Problem, "the first record here is number 2: those before it are missing")

	report, err = VerifyExport(bytes.NewReader(export(all)), "00")
	require.NoError(t, err)
	require.Contains(t, report.Broken.Problem, "no record has the hash 00")

	_, err = VerifyExport(strings.NewReader(strings.Replace(string(export(all)), `"by"`, ` "by"`, 1)))
	require.ErrorContains(t, err, "line 1: not as mainspring writes a record")
	_, err = VerifyExport(strings.NewReader("{"))
	require.ErrorContains(t, err, "line 1: no line of an audit trail")
}

// TestTheRecipeOfTheDocs: docs/registry.md says how to check a trail without
// Mainspring; the hash is of the line with an empty hash.
func TestTheRecipeOfTheDocs(t *testing.T) {
	emptied := regexp.MustCompile(`"hash":"\w*"\}$`)
	for _, r := range history(3) {
		line, err := RecordLine(r)
		require.NoError(t, err)
		sum := sha256.Sum256(emptied.ReplaceAll(line, []byte(`"hash":""}`)))
		require.Equal(t, r.Hash, hex.EncodeToString(sum[:]))
	}
}
