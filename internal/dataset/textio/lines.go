package textio

import (
	"bytes"
	"errors"
	"io"
)

// lines is a window on a text, which moves on by records.
type lines struct {
	source   io.Reader
	buffer   []byte
	from, to int   // what is read and not passed yet
	line     int64 // of the window's first byte
	end      error // why there is nothing more to read
}

// firstBuffer holds many records; it grows for one that it does not hold.
const firstBuffer = 256 << 10

func newLines(source io.Reader) lines {
	return lines{source: source, buffer: make([]byte, firstBuffer), line: 1}
}

// lineEnd finds the end of the line that begins at a place in the window, behind
// its line break. At the end of the text it is the place itself.
func (l *lines) lineEnd(at int) (int, error) {
	for scanned := at; ; {
		if i := bytes.IndexByte(l.buffer[l.from+scanned:l.to], '\n'); i >= 0 {
			return scanned + i + 1, nil
		}
		scanned = l.to - l.from
		switch {
		case errors.Is(l.end, io.EOF):
			return scanned, nil
		case l.end != nil:
			return 0, l.end
		case scanned > maxRecord:
			return 0, tooLong(l.line)
		}
		l.fill()
	}
}

// fill reads more behind the window.
func (l *lines) fill() {
	if l.to == len(l.buffer) {
		to := l.buffer
		if l.to-l.from > len(l.buffer)/2 {
			to = make([]byte, 2*len(l.buffer))
		}
		l.to = copy(to, l.buffer[l.from:l.to])
		l.buffer, l.from = to, 0
	}
	for range 100 {
		n, err := l.source.Read(l.buffer[l.to:])
		l.to += n
		l.end = err
		if n > 0 || err != nil {
			return
		}
	}
	l.end = io.ErrNoProgress
}

// window is the text up to a place.
func (l *lines) window(end int) []byte { return l.buffer[l.from : l.from+end] }

// pass moves the window on.
func (l *lines) pass(end int, breaks int) {
	l.from += end
	l.line += int64(breaks)
}

// withoutBreak is a line without its line break. A carriage return at the end of
// the text counts as one.
func withoutBreak(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'})
}
