package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// magic names the format of a segment.
const magic = "MSSPOOL1"

// frameHeader is the length of what precedes a record.
const frameHeader = 8

// maxRecord bounds a record, so that a torn length does not look like a long
// one.
const maxRecord = 256 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends a record that fill appends to what it is given.
func appendFrame(dst []byte, fill func([]byte) []byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = fill(dst)
	frame := dst[start:]
	binary.LittleEndian.PutUint32(frame, uint32(len(frame)-frameHeader))
	binary.LittleEndian.PutUint32(frame[4:], frameSum(frame))
	return dst
}

func frameSum(frame []byte) uint32 {
	return crc32.Update(crc32.Checksum(frame[:4], castagnoli), castagnoli, frame[frameHeader:])
}

// nextFrame is the record at the start of data, and its length with its
// header. ok is false where no whole record starts.
func nextFrame(data []byte) (record []byte, size int, ok bool) {
	if len(data) < frameHeader {
		return nil, 0, false
	}
	length := int(binary.LittleEndian.Uint32(data))
	if length > maxRecord || length > len(data)-frameHeader {
		return nil, 0, false
	}
	size = frameHeader + length
	if frameSum(data[:size]) != binary.LittleEndian.Uint32(data[4:]) {
		return nil, 0, false
	}
	return data[frameHeader:size], size, true
}

// walk visits the whole records of a segment's bytes. It returns how many there
// are and how many of the bytes they take up, the header included.
func walk(data []byte, visit func(record []byte) error) (records int, good int64, err error) {
	if len(data) < len(magic) {
		return 0, 0, nil // killed before the first record
	}
	if string(data[:len(magic)]) != magic {
		return 0, 0, fmt.Errorf("%w: it starts with %q, want %q", ErrForeign, data[:len(magic)], magic)
	}
	at := len(magic)
	for {
		record, size, ok := nextFrame(data[at:])
		if !ok {
			return records, int64(at), nil
		}
		if err := visit(record); err != nil {
			return records, int64(at), err
		}
		records++
		at += size
	}
}
