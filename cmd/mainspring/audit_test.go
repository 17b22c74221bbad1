package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/models"
)

// twoRecords are a registration and a promotion.
func twoRecords() []models.Record {
	first := models.Record{At: noon, Action: models.ActionRegistered, Version: "3", By: "lifecycle/delay/1", Reason: "passed:\n better"}.Follow(0, "")
	second := models.Record{At: noon.Add(time.Hour), Action: models.ActionPromoted, Version: "3", By: "kim",
		Aliases: map[string]string{"previous": "2", "champion": "3"}}.Follow(1, first.Hash)
	return []models.Record{first, second}
}

func TestTrailIsPrinted(t *testing.T) {
	trail := client.Trail{Model: "delay", Own: twoRecords()}
	var out strings.Builder
	require.NoError(t, (&auditFlags{}).print(&out, trail))
	require.Equal(t, `WHEN                  #  ACTION      VERSION  BY                 ALIASES AFTER           REASON
2026-11-25 12:00:00Z  1  registered  3        lifecycle/delay/1  -                       passed: better
2026-11-25 13:00:00Z  2  promoted    3        kim                champion 3, previous 2  
`, out.String())

	out.Reset()
	require.NoError(t, (&auditFlags{last: 1}).print(&out, trail))
	require.NotContains(t, out.String(), "registered")

	trail.Damage = &client.Break{Sequence: 4, Problem: "archived records 1 to 4: gone"}
	require.EqualError(t, (&auditFlags{}).print(&out, trail), "the records up to 4 can't be shown: archived records 1 to 4: gone")
}

// TestAnExportIsVerifiedWithoutAServer: what --json prints is what verify
// --file reads, and one changed letter is found.
func TestAnExportIsVerifiedWithoutAServer(t *testing.T) {
	t.Chdir(t.TempDir())
	records := twoRecords()
	var export strings.Builder
	require.NoError(t, (&auditFlags{json: true}).print(&export, client.Trail{Own: records}))
	lines := strings.Split(strings.TrimSpace(export.String()), "\n")
	require.Len(t, lines, 2)
	var first models.Record
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &first))
	require.Equal(t, records[0], first)

	file := filepath.Join(t.TempDir(), "records.jsonl")
	verify := func(text string, more ...string) outcome {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return mainspring(t, append([]string{"audit", "verify", "delay", "--file", file}, more...)...)
	}
	good := verify(export.String(), "--seen", records[0].Hash)
	require.Equal(t, outcome{0, "delay: 2 records, unbroken, head " + records[1].Hash + "\n", ""}, good)

	changed := verify(strings.Replace(export.String(), `"kim"`, `"lee"`, 1))
	require.Equal(t, exitFailed, changed.code)
	require.Equal(t, "mainspring: the audit trail of delay does not hold: record 2 (promoted, 2026-11-25T13:00:00Z) does not match its hash: it was changed\n", changed.stderr)
	require.Empty(t, changed.stdout)

	asJSON := verify(lines[1], "--json")
	require.Equal(t, exitFailed, asJSON.code)
	var report client.AuditReport
	require.NoError(t, json.Unmarshal([]byte(asJSON.stdout), &report))
	require.Equal(t, int64(2), report.Broken.Sequence)

	require.Contains(t, verify("x").stderr, "records.jsonl: line 1: no line of an audit trail")
	require.Contains(t, verify(`{"format":1,"model":"price","first":1,"last":0}`).stderr, "is of the model price, not of delay")
	require.Contains(t, verify("").stderr, "records.jsonl has no records: it is not an export of delay")
	require.Equal(t, exitFailed, mainspring(t, "audit", "verify", "delay", "--file", "none.jsonl").code)
}

func TestReportNamesEverythingThatDoesNotHold(t *testing.T) {
	var out strings.Builder
	err := (&auditFlags{}).report(&out, "delay", client.AuditReport{Records: 3,
		Broken: &client.Break{Where: "s3://b/x", Problem: "record 2 was changed"}, Aliases: "record 3 left champion 1; the steward has champion 2"})
	require.EqualError(t, err, "the audit trail of delay does not hold: record 2 was changed (s3://b/x)\n"+
		"  the aliases of delay are not those of its audit trail: record 3 left champion 1; the steward has champion 2")
	require.Empty(t, out.String())

	require.NoError(t, (&auditFlags{}).report(&out, "delay", client.AuditReport{Records: 9, Segments: 2, Head: "ab", Note: "aliases were not compared"}))
	require.Equal(t, "delay: 9 records, unbroken, head ab\n  2 archived parts verified\n  aliases were not compared\n", out.String())
}
