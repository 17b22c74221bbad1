package textio

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// stream is an open text: decompressed, and without a byte order mark.
type stream struct {
	io.Reader
	source *failing
	close  func() error
}

// failing remembers the source's own failure, which must not pass for damage.
type failing struct {
	io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

func (f *File) stream(ctx context.Context) (*stream, error) {
	raw, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	s := &stream{source: &failing{Reader: raw}, close: raw.Close}
	if err := s.start(f.options.Gzip); err != nil {
		err = s.fault(0, err)
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// start finds out about compression and encoding from the first bytes.
func (s *stream) start(compressed bool) error {
	text := bufio.NewReaderSize(s.source, firstBuffer)
	first, err := text.Peek(2)
	switch {
	case bytes.Equal(first, []byte{0x1f, 0x8b}):
		unzipped, err := gzip.NewReader(text)
		if err != nil {
			return err
		}
		text = bufio.NewReaderSize(unzipped, 4<<10)
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case compressed && len(first) > 0:
		return &Broken{Reason: "the file is not compressed with gzip, as its name says", Hint: "rename or compress it"}
	}
	first, err = text.Peek(3)
	switch {
	case bytes.Equal(first, []byte{0xef, 0xbb, 0xbf}):
		_, err = text.Discard(3)
	case bytes.HasPrefix(first, []byte{0xff, 0xfe}) || bytes.HasPrefix(first, []byte{0xfe, 0xff}):
		err = &Broken{Reason: "the file is UTF-16", Hint: "write it as UTF-8"}
	case errors.Is(err, io.EOF):
		err = nil
	}
	s.Reader = text
	return err
}

// fault tells damage from a source that fails.
func (s *stream) fault(line int64, err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case err == nil:
		return nil
	case s.source.err != nil:
		return s.source.err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Broken{Line: line, Reason: "the gzip data ends in the middle", Hint: writeAgain}
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return &Broken{Line: line, Reason: "the gzip data is damaged", Hint: writeAgain}
	}
	return err
}
