package client

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Break is the first place where an audit trail can't be trusted.
type Break struct {
	Sequence int64  `json:"sequence"`        // of the record; 0: of none
	Where    string `json:"where,omitempty"` // the archived part; empty: the steward's own records, or the file
	Problem  string `json:"problem"`
}

// AuditReport is what the verification of a trail found.
type AuditReport struct {
	Model    string `json:"model,omitempty"`
	Records  int    `json:"records"`
	Segments int    `json:"segments"` // archived parts
	// Head is the hash of the last record; to keep it is to be able to prove later
	// that nothing up to here was changed.
	Head string `json:"head"`
	// Broken is nil when the chain holds.
	Broken *Break `json:"broken,omitempty"`
	// Aliases says how the recorded aliases compare with the steward's; empty:
	// they agree.
	Aliases string `json:"aliases,omitempty"`
	// Note is what could not be compared, and why; no fault.
	Note string `json:"note,omitempty"`
}

// Holds reports whether nothing was found.
func (r AuditReport) Holds() bool { return r.Broken == nil && r.Aliases == "" }

// Verify checks a whole trail: that each archived part is what its header and
// the part after it say, that the chain runs from record 1 to the last, and
// that the steward's aliases are those that the last record to move them left.
// seen are hashes noted earlier that must still be part of the chain.
func (t Trail) Verify(seen ...string) AuditReport {
	records := t.Records()
	report := AuditReport{Model: t.Model, Records: len(records), Segments: len(t.Segments), Head: headOf(records)}
	report.Broken = t.firstBreak()
	if report.Broken == nil {
		report.Broken = missing(records, seen)
	}
	switch differ := t.compareAliases(records); {
	case differ == "":
	case t.Doing != "":
		report.Note = "aliases were not compared: the steward is " + t.Doing
	default:
		report.Aliases = differ
	}
	return report
}

func (t Trail) firstBreak() *Break {
	if t.Damage != nil {
		return t.Damage // it lies before all that was read
	}
	sequence, hash := int64(0), ""
	for i, segment := range t.Segments {
		if problem := segment.check(t.Model, t.before(i)); problem != "" {
			return &Break{Sequence: segment.First, Where: segment.File.URI, Problem: problem}
		}
		if broken := verify(segment.Records, sequence, hash, segment.File.URI); broken != nil {
			return broken
		}
		sequence, hash = segment.Last, segment.Head
	}
	return verify(t.Own, sequence, hash, "")
}

func (t Trail) before(i int) *models.AuditSegment {
	if i == 0 {
		return nil
	}
	return &t.Segments[i-1].AuditSegment
}

// check holds a segment's header and records against what refers to it.
func (s Segment) check(model string, before *models.AuditSegment) string {
	h := s.Header
	switch {
	case h.Format != 1:
		return fmt.Sprintf("its format is %d; this version of mainspring knows 1", h.Format)
	case h.Model != model:
		return fmt.Sprintf("its header is of the model %s", h.Model)
	case h.First != s.First || h.Last != s.Last:
		return fmt.Sprintf("its header says records %d to %d, what refers to it %d to %d", h.First, h.Last, s.First, s.Last)
	case int64(len(s.Records)) != s.Last-s.First+1:
		return fmt.Sprintf("it has %d records, and should have %d to %d", len(s.Records), s.First, s.Last)
	case headOf(s.Records) != s.Head:
		return fmt.Sprintf("its last record has the hash %.12s…, what refers to it says %.12s…", headOf(s.Records), s.Head)
	case before == nil && s.First != 1:
		return fmt.Sprintf("it is the oldest part and begins with record %d", s.First)
	case before != nil && s.First != before.Last+1:
		return fmt.Sprintf("it begins with record %d, and the part before ends with %d", s.First, before.Last)
	default:
		return ""
	}
}

// verify finds the first record that does not follow.
func verify(records []models.Record, sequence int64, hash, where string) *Break {
	for _, r := range records {
		if err := models.VerifyRecords([]models.Record{r}, sequence, hash); err != nil {
			return &Break{Sequence: r.Sequence, Where: where, Problem: err.Error()}
		}
		sequence, hash = r.Sequence, r.Hash
	}
	return nil
}

func headOf(records []models.Record) string {
	if len(records) == 0 {
		return ""
	}
	return records[len(records)-1].Hash
}

// missing finds a noted hash that the chain does not have. A chain that was
// made anew from some record on holds in itself; only a noted hash shows it.
func missing(records []models.Record, seen []string) *Break {
	for _, hash := range seen {
		if !slices.ContainsFunc(records, func(r models.Record) bool { return r.Hash == hash }) {
			return &Break{Problem: fmt.Sprintf("no record has the hash %s, which was noted earlier: the chain was made anew, or ends before it", hash)}
		}
	}
	return nil
}

// compareAliases holds the steward's aliases against the last record that moved
// any; empty: they agree.
func (t Trail) compareAliases(records []models.Record) string {
	var last *models.Record
	for i := range records {
		// One that tells of another hand has what MLflow had, not what the steward did.
		if records[i].Aliases != nil && records[i].Action != models.ActionAliasMoved {
			last = &records[i]
		}
	}
	recorded, by := map[string]string{}, "no record moves any"
	if last != nil {
		by = fmt.Sprintf("record %d (%s) left", last.Sequence, last.Action)
		for alias, version := range last.Aliases {
			if version != "" {
				recorded[alias] = version
			}
		}
	}
	if maps.Equal(recorded, t.Aliases) {
		return ""
	}
	return fmt.Sprintf("%s %s; the steward has %s", by, AliasText(recorded), AliasText(t.Aliases))
}

// AliasText writes aliases in order: "champion 3, previous 2".
func AliasText(aliases map[string]string) string {
	var parts []string
	for _, alias := range slices.Sorted(maps.Keys(aliases)) {
		if aliases[alias] != "" {
			parts = append(parts, alias+" "+aliases[alias])
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// VerifyExport checks the chain of an export, of archived parts, or of both
// after one another, without any server. It must begin with record 1.
func VerifyExport(from io.Reader, seen ...string) (AuditReport, error) {
	lines, err := readLines(from)
	if err != nil {
		return AuditReport{}, err
	}
	var report AuditReport
	var records []models.Record
	for _, line := range lines {
		if line.record != nil {
			records = append(records, *line.record)
			continue
		}
		report.Segments++
		report.Model = line.header.Model
		if next := int64(len(records)) + 1; line.header.First != next && report.Broken == nil {
			report.Broken = &Break{Sequence: next, Problem: fmt.Sprintf("an archived part begins with record %d where record %d should follow", line.header.First, next)}
		}
	}
	report.Records, report.Head = len(records), headOf(records)
	if broken := verify(records, 0, "", ""); broken != nil {
		report.Broken = broken
	}
	if report.Broken == nil {
		report.Broken = missing(records, seen)
	}
	return report, nil
}
