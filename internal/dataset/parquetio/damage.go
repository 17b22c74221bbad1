package parquetio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// survive makes an error of a panic in the decoder, which trusts what a file says
// about itself.
func survive(err *error) {
	if fault := recover(); fault != nil {
		*err = fmt.Errorf("%w: it contradicts itself: %v", ErrNotParquet, fault)
	}
}

// footerOf finds the footer by a file's last bytes. What is no Parquet, or cut
// off, would have any length there.
func footerOf(r io.ReaderAt, size int64) (span, error) {
	const magic = "PAR1"
	var end [4 + len(magic)]byte
	before := size - int64(len(end))
	if before < int64(len(magic)) {
		return span{}, fmt.Errorf("%w: it has %d bytes", ErrNotParquet, size)
	}
	if _, err := r.ReadAt(end[:], before); err != nil && !errors.Is(err, io.EOF) {
		return span{}, err
	}
	if string(end[4:]) != magic {
		return span{}, fmt.Errorf("%w: it does not end with %s; it is cut off, or something else", ErrNotParquet, magic)
	}
	length := int64(binary.LittleEndian.Uint32(end[:]))
	if length > before-int64(len(magic)) {
		return span{}, fmt.Errorf("%w: its footer would have %d of its %d bytes", ErrNotParquet, length, size)
	}
	return span{offset: before - length, length: length}, nil
}
