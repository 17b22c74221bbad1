package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Trail is a model's audit trail: what the steward has archived, then what it
// holds itself.
type Trail struct {
	Model string
	// Segments are the archived parts that were read, oldest first.
	Segments []Segment
	// Own are the records that the steward holds.
	Own []models.Record
	// Aliases are those that the steward has in mind, alias → version.
	Aliases map[string]string
	// Doing is what the steward was doing when it was asked; empty: nothing.
	Doing string
	// Damage is why parts older than the oldest segment could not be read.
	Damage *Break
}

// Segment is one archived part.
type Segment struct {
	models.AuditSegment
	Header  models.AuditHeader
	Records []models.Record
}

// Records is all of the trail, oldest first.
func (t Trail) Records() []models.Record {
	var all []models.Record
	for _, s := range t.Segments {
		all = append(all, s.Records...)
	}
	return append(all, t.Own...)
}

// Audit reads a model's audit trail: at least its last records or, when last
// is 0, all of them. An archived part that can't be trusted ends the reading
// and is the trail's damage; one that can't be read for another reason, such as
// a store that does not answer, is an error.
func (c *Client) Audit(ctx context.Context, model string, store artifact.Store, last int) (Trail, error) {
	status, err := c.Steward(ctx, model)
	if err != nil {
		return Trail{}, err
	}
	return trailFrom(ctx, model, status, store, last)
}

// trailFrom is Audit for a steward that has answered.
func trailFrom(ctx context.Context, model string, status models.StewardStatus, store artifact.Store, last int) (Trail, error) {
	trail := Trail{Model: model, Own: status.Records, Doing: status.Doing, Aliases: map[string]string{}}
	for alias, version := range aliasesOf(status) {
		if version != "" {
			trail.Aliases[alias] = version
		}
	}
	have := len(trail.Own)
	for at := status.Archive; at != nil && (last == 0 || have < last); {
		segment, err := readSegment(ctx, store, *at)
		if err != nil {
			if trail.Damage = damageOf(*at, err); trail.Damage == nil {
				return Trail{}, err
			}
			break
		}
		trail.Segments = append(trail.Segments, segment)
		have += len(segment.Records)
		next := segment.Header.Prior
		if next != nil && next.Last >= at.First { // or a damaged chain could go round for ever
			trail.Damage = &Break{Sequence: next.Last, Where: at.File.URI,
				Problem: fmt.Sprintf("it names records %d to %d as those before its first, %d", next.First, next.Last, at.First)}
			break
		}
		at = next
	}
	slices.Reverse(trail.Segments)
	return trail, nil
}

// segmentLimit is far above what a segment has: a record is below 8 KiB.
const segmentLimit = 64 << 20

func readSegment(ctx context.Context, store artifact.Store, at models.AuditSegment) (Segment, error) {
	text, err := artifact.ReadRef(ctx, store, at.File, segmentLimit)
	if err != nil {
		return Segment{}, fmt.Errorf("archived records %d to %d: %w", at.First, at.Last, err)
	}
	lines, err := readLines(bytes.NewReader(text))
	switch {
	case err != nil:
		return Segment{}, &malformedError{fmt.Errorf("archived records %d to %d, %s: %w", at.First, at.Last, at.File.URI, err)}
	case len(lines) == 0 || lines[0].header == nil:
		return Segment{}, &malformedError{fmt.Errorf("archived records %d to %d, %s: the first line is no header", at.First, at.Last, at.File.URI)}
	}
	segment := Segment{AuditSegment: at, Header: *lines[0].header}
	for _, line := range lines[1:] {
		if line.record == nil {
			return Segment{}, &malformedError{fmt.Errorf("archived records %d to %d, %s: a header in the middle", at.First, at.Last, at.File.URI)}
		}
		segment.Records = append(segment.Records, *line.record)
	}
	return segment, nil
}

// malformedError is text that is no part of an audit trail.
type malformedError struct{ error }

// damageOf is a break if the bytes are gone or not those that were archived,
// and nil if they could not be read for another reason.
func damageOf(at models.AuditSegment, err error) *Break {
	if !errors.Is(err, artifact.ErrCorrupt) && !errors.Is(err, artifact.ErrNotFound) && !errors.As(err, new(*malformedError)) {
		return nil
	}
	return &Break{Sequence: at.Last, Where: at.File.URI, Problem: err.Error()}
}

// auditLine is a record or the header of a segment.
type auditLine struct {
	record *models.Record
	header *models.AuditHeader
}

// readLines reads JSON lines: an export, segments, or both after one another.
func readLines(from io.Reader) ([]auditLine, error) {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 1<<20)
	var lines []auditLine
	for n := 1; scanner.Scan(); n++ {
		text := bytes.TrimSpace(scanner.Bytes())
		if len(text) == 0 {
			continue
		}
		line, err := readLine(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		lines = append(lines, line)
	}
	return lines, scanner.Err()
}

func readLine(text []byte) (auditLine, error) {
	var kind struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &kind); err != nil {
		return auditLine{}, fmt.Errorf("no line of an audit trail: %w", err)
	}
	if kind.Format != 0 {
		header := &models.AuditHeader{}
		err := json.Unmarshal(text, header)
		return auditLine{header: header}, err
	}
	record := &models.Record{}
	if err := json.Unmarshal(text, record); err != nil {
		return auditLine{}, fmt.Errorf("no record: %w", err)
	}
	written, err := RecordLine(*record)
	if err == nil && !bytes.Equal(written, text) {
		// A field that this version does not know, or one that is there twice, is
		// covered by no hash.
		err = errors.New("not as mainspring writes a record: it was changed, or is of a newer version")
	}
	return auditLine{record: record}, err
}

// RecordLine is a record as one line of JSON: with the hash emptied, it is what
// the hash is of.
func RecordLine(r models.Record) ([]byte, error) {
	r.At = r.At.UTC()
	return json.Marshal(r)
}
