package models_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// trail is a chain of n records that follow sequence and hash.
func trail(n int, sequence int64, hash string) (records []models.Record) {
	actions := []models.Action{models.ActionRegistered, models.ActionApproved, models.ActionPromoted}
	for i := range n {
		r := models.Record{
			At: time.Date(2013, 8, 1+i, 12, 0, 0, 123456789, time.FixedZone("CEST", 7200)), Action: actions[i%3], Version: "7", By: "ada", Reason: "safe",
			Aliases:  map[string]string{models.AliasChampion: "7", models.AliasPrevious: "6"},
			Evidence: &models.RecordEvidence{Verdict: models.VerdictPass, RunID: "run-7", Model: "ab12"},
		}.Follow(sequence, hash)
		records = append(records, r)
		sequence, hash = r.Sequence, r.Hash
	}
	return records
}

func TestRecordsVerifyAfterTheirWayThroughJSON(t *testing.T) {
	records := trail(5, 0, "")
	text, err := json.Marshal(records)
	require.NoError(t, err)
	var read []models.Record
	require.NoError(t, json.Unmarshal(text, &read))
	require.NoError(t, models.VerifyRecords(read, 0, ""))
	require.NoError(t, models.VerifyRecords(nil, 0, ""), "no records, nothing wrong")
	require.NoError(t, models.VerifyRecords(read[3:], read[2].Sequence, read[2].Hash), "from an archived part on")
	require.NoError(t, models.VerifyRecords(trail(3, 41, "f00d"), 41, "f00d"))
}

func TestEveryFieldOfARecordIsInItsHash(t *testing.T) {
	changes := map[string]func(*models.Record){
		"when":                func(r *models.Record) { r.At = r.At.Add(time.Nanosecond) },
		"what":                func(r *models.Record) { r.Action = models.ActionRejected },
		"version":             func(r *models.Record) { r.Version = "8" },
		"who":                 func(r *models.Record) { r.By = "mallory" },
		"why":                 func(r *models.Record) { r.Reason += "." },
		"aliases":             func(r *models.Record) { r.Aliases = map[string]string{models.AliasChampion: "8"} },
		"no aliases":          func(r *models.Record) { r.Aliases = nil },
		"evidence: verdict":   func(r *models.Record) { r.Evidence.Verdict = models.VerdictFail },
		"evidence: run":       func(r *models.Record) { r.Evidence.RunID = "run-8" },
		"evidence: snapshot":  func(r *models.Record) { r.Evidence.Snapshot = "5a" },
		"evidence: model":     func(r *models.Record) { r.Evidence.Model = "cd34" },
		"evidence: code":      func(r *models.Record) { r.Evidence.Code = "c0" },
		"evidence: spec":      func(r *models.Record) { r.Evidence.Spec = "59" },
		"evidence: signature": func(r *models.Record) { r.Evidence.Signature = "b0" },
		"evidence: figures":   func(r *models.Record) { r.Evidence.Evaluation = "e7" },
		"no evidence":         func(r *models.Record) { r.Evidence = nil },
		"its hash":            func(r *models.Record) { r.Hash = "00" + r.Hash[2:] },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			records := trail(5, 0, "")
			change(&records[2])
			require.ErrorContains(t, models.VerifyRecords(records, 0, ""), "does not match its hash")
		})
	}
}

func TestRecordsMissingAddedOrRewrittenAreFound(t *testing.T) {
	changes := map[string]struct {
		change func([]models.Record) []models.Record
		says   string
	}{
		"one is missing":       {func(r []models.Record) []models.Record { return slices.Delete(r, 1, 2) }, "record 3 follows record 1"},
		"the first is missing": {func(r []models.Record) []models.Record { return r[1:] }, "the first record here is number 2"},
		"one is there twice":   {func(r []models.Record) []models.Record { return slices.Insert(r, 1, r[1]) }, "record 2 follows record 2"},
		"two changed places": {func(r []models.Record) []models.Record {
			r[1], r[2] = r[2], r[1]
			return r
		}, "record 3 follows record 1"},
		"one was put in between": {func(r []models.Record) []models.Record {
			return slices.Insert(r, 2, models.Record{Action: models.ActionApproved, By: "mallory"}.Follow(r[1].Sequence, r[1].Hash))
		}, "record 3 follows record 3"},
		"one was rewritten with a hash of its own": {func(r []models.Record) []models.Record {
			r[2].Reason = "nothing to see"
			r[2] = r[2].Follow(r[1].Sequence, r[1].Hash)
			return r
		}, "record 4 names"},
	}
	for name, test := range changes {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, models.VerifyRecords(test.change(trail(5, 0, "")), 0, ""), test.says)
		})
	}
	// Whoever rewrites everything up to the newest has another head: the one
	// that was written down elsewhere, such as in an archived segment, tells.
	require.Error(t, models.VerifyRecords(trail(3, 2, "another head"), 2, trail(2, 0, "")[1].Hash))
}
