package gateway

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

// The records of the spool. The first byte tells them apart; a later format
// takes another byte, so that a gateway that is replaced by an older one knows
// what it can't read.
const (
	recordRow  = 'r'
	recordMark = 'm' // the watermark that holds once all records before it are uploaded
)

var errRecord = errors.New("not a record of the inference log")

// appendRow appends a row as a record. The endpoint is the topic's name.
func appendRow(dst []byte, row *models.InferenceRow) []byte {
	dst = append(dst, recordRow)
	dst = appendText(dst, row.ID)
	dst = binary.AppendVarint(dst, row.EventTime)
	dst = binary.AppendVarint(dst, row.Time)
	dst = appendText(dst, row.Version)
	dst = appendText(dst, row.Role)
	dst = binary.AppendVarint(dst, row.Generation)
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(row.ArmShare))
	dst = binary.AppendVarint(dst, int64(row.Status))
	dst = binary.AppendVarint(dst, row.LatencyUS)
	dst = appendText(dst, row.Drawn)
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(row.LogShare))
	dst = appendText(dst, row.Inputs)
	return appendText(dst, row.Outputs)
}

func appendMark(dst []byte, watermark int64) []byte {
	return binary.AppendVarint(append(dst, recordMark), watermark)
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// spooled is what records held.
type spooled struct {
	rows   []models.InferenceRow
	mark   int64
	marked bool
}

// read takes one record in.
func (s *spooled) read(endpoint string, record []byte) error {
	if len(record) == 0 {
		return fmt.Errorf("%w: it is empty", errRecord)
	}
	r := recordReader{rest: record[1:]}
	switch record[0] {
	case recordMark:
		mark := r.int()
		if !s.marked || mark > s.mark {
			s.mark, s.marked = mark, true
		}
	case recordRow:
		s.rows = append(s.rows, models.InferenceRow{
			Endpoint: endpoint,
			ID:       r.text(), EventTime: r.int(), Time: r.int(), Version: r.text(), Role: r.text(),
			Generation: r.int(), ArmShare: r.float(), Status: int32(r.int()), LatencyUS: r.int(),
			Drawn: r.text(), LogShare: r.float(), Inputs: r.text(), Outputs: r.text(),
		})
	default:
		return fmt.Errorf("%w: it is of kind %q, which this version does not know", errRecord, record[0])
	}
	if r.short || len(r.rest) > 0 {
		return fmt.Errorf("%w: %d bytes do not make one of kind %q", errRecord, len(record), record[0])
	}
	return nil
}

// recordReader reads a record's fields; short says that there were fewer.
type recordReader struct {
	rest  []byte
	short bool
}

func (r *recordReader) int() int64 {
	v, n := binary.Varint(r.rest)
	return v * int64(r.pass(n))
}

func (r *recordReader) float() float64 {
	if len(r.rest) < 8 {
		r.short = true
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(r.rest))
	r.rest = r.rest[8:]
	return v
}

func (r *recordReader) text() string {
	length, n := binary.Uvarint(r.rest)
	if r.pass(n) == 0 || length > uint64(len(r.rest)) {
		r.short = true
		return ""
	}
	text := string(r.rest[:length])
	r.rest = r.rest[length:]
	return text
}

// pass moves on by n bytes: 1, or 0 when there is no number.
func (r *recordReader) pass(n int) int {
	if n <= 0 {
		r.short = true
		return 0
	}
	r.rest = r.rest[n:]
	return 1
}
