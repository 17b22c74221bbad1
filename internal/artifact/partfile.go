package artifact

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// partHead says what object a part file is of.
type partHead struct {
	URI  string `json:"uri"`
	ETag string `json:"etag"`
	Size int64  `json:"size"`
}

// A part file is .<name>.part beside the file it becomes. Behind the object's
// bytes it has a note, which is cut off at the end:
//
//	headBytes: partHead as JSON, filled up with zeros
//	per block: 8 bytes 1 and 8 bytes CRC-64/NVME of the block, or zeros
//
// A block's entry is written when its bytes are, and believed only if they have
// its CRC-64. One process at a time has the part file, by a lock that the kernel
// drops when it dies; another one uses a file of its own, which is not resumed.
type partFile struct {
	file  string // what it becomes
	f     *os.File
	own   bool // not resumed
	head  partHead
	found []uint64        // CRC-64s in the note; 0 and not noted: none
	noted []bool          // by block
	done  []chan struct{} // closed when the block is there
	used  []bool          // by block: an earlier attempt's bytes were used
}

const (
	headBytes  = 4096
	entryBytes = 16
)

// blockRange is blocks from..to-1.
type blockRange struct{ from, to int }

func partName(file string) string {
	return filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".part")
}

// openPart opens or makes the part file of a file.
func openPart(file string, head partHead) (*partFile, error) {
	f, own, err := lockedPart(partName(file))
	if err != nil {
		return nil, err
	}
	count := int((head.Size + blockBytes - 1) / blockBytes)
	p := &partFile{file: file, f: f, own: own, head: head, found: make([]uint64, count), noted: make([]bool, count),
		done: make([]chan struct{}, count), used: make([]bool, count)}
	for i := range p.done {
		p.done[i] = make(chan struct{})
	}
	if err := p.readNote(); err != nil {
		p.remove()
		return nil, err
	}
	return p, nil
}

// lockedPart takes the part file, or makes one of its own if it is taken.
func lockedPart(path string) (f *os.File, own bool, err error) {
	f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, err
	}
	if lockedAs(f, path) {
		return f, false, nil
	}
	_ = f.Close() // nothing was written
	f, err = os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*")
	return f, true, err
}

// readNote believes the note of the same object only; any other content goes.
func (p *partFile) readNote() error {
	head, err := json.Marshal(p.head)
	if err != nil {
		return err
	}
	note := make([]byte, headBytes+entryBytes*len(p.done))
	n, err := p.f.ReadAt(note, p.head.Size)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if n < headBytes || !bytes.Equal(bytes.TrimRight(note[:headBytes], "\x00"), head) {
		if !p.fresh() {
			if err := p.f.Truncate(0); err != nil {
				return err
			}
		}
		_, err := p.f.WriteAt(append(head, make([]byte, headBytes-len(head))...), p.head.Size)
		return err
	}
	for i := range p.done {
		entry := note[headBytes+entryBytes*i:]
		p.noted[i] = binary.BigEndian.Uint64(entry) == 1
		p.found[i] = binary.BigEndian.Uint64(entry[8:])
	}
	return nil
}

// fresh: the file is empty. Cutting such a one to nothing would have ext4 write
// all of it to the disk when it is closed, as it does for files that are
// overwritten.
func (p *partFile) fresh() bool {
	info, err := p.f.Stat()
	return err == nil && info.Size() == 0
}

// missing is how many bytes have yet to come.
func (p *partFile) missing() (n int64) {
	for i, noted := range p.noted {
		if !noted {
			start, end := p.span(blockRange{i, i + 1})
			n += end - start
		}
	}
	return n
}

// ranges cuts the blocks into ranges, each noted or each not.
func (p *partFile) ranges() (all []blockRange) {
	for i := range p.noted {
		if last := len(all) - 1; last >= 0 && p.noted[i] == p.noted[i-1] && i-all[last].from < rangeBlocks {
			all[last].to++
			continue
		}
		all = append(all, blockRange{i, i + 1})
	}
	return all
}

func (p *partFile) span(r blockRange) (start, end int64) {
	return int64(r.from) * blockBytes, min(int64(r.to)*blockBytes, p.head.Size)
}

// check is true if an earlier attempt has left the block.
func (p *partFile) check(block int, buffer []byte) bool {
	if !p.noted[block] {
		return false
	}
	start, end := p.span(blockRange{block, block + 1})
	crc := newCRC()
	_, err := io.CopyBuffer(struct{ io.Writer }{crc}, io.NewSectionReader(p.f, start, end-start), buffer)
	if err != nil || crc.Sum64() != p.found[block] {
		return false
	}
	p.used[block] = true
	close(p.done[block])
	return true
}

// fill copies a block out of a stream and notes it.
func (p *partFile) fill(block int, r io.Reader, buffer []byte) error {
	start, end := p.span(blockRange{block, block + 1})
	crc := newCRC()
	w := &writer{file: p.file, w: io.NewOffsetWriter(p.f, start), missing: end - start}
	n, err := io.CopyBuffer(w, io.TeeReader(io.LimitReader(r, end-start), crc), buffer)
	if err == nil && n < end-start {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	entry := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, 1), crc.Sum64())
	if _, err := p.f.WriteAt(entry, p.head.Size+headBytes+int64(block)*entryBytes); err != nil {
		return writeError(p.file, err, entryBytes)
	}
	close(p.done[block])
	return nil
}

// digest reads the blocks in order, each as soon as it is there.
func (p *partFile) digest(ctx context.Context) (string, error) {
	h, buffer := sha256.New(), make([]byte, copyBytes)
	for i, done := range p.done {
		select {
		case <-done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		start, end := p.span(blockRange{i, i + 1})
		if _, err := io.CopyBuffer(struct{ io.Writer }{h}, io.NewSectionReader(p.f, start, end-start), buffer); err != nil {
			return "", localError("get", p.file, err)
		}
	}
	return sumOf(h), nil
}

// kept is how many blocks an earlier attempt has left.
func (p *partFile) kept() (n int) {
	for _, used := range p.used {
		if used {
			n++
		}
	}
	return n
}

// finish makes the part file the file.
func (p *partFile) finish() error {
	err := cmp.Or(p.f.Truncate(p.head.Size), p.f.Chmod(0o644))
	if err == nil {
		err = os.Rename(p.f.Name(), p.file) // under the lock: nobody else takes it for a part
	}
	if err = cmp.Or(err, p.f.Close()); err != nil {
		return writeError(p.file, err, 0)
	}
	return nil
}

// leave keeps the part file for the next attempt.
func (p *partFile) leave() {
	if p.own {
		p.remove()
		return
	}
	_ = p.f.Close() // what was noted is checked again
}

func (p *partFile) remove() {
	_ = os.Remove(p.f.Name()) // under the lock; a left-over is taken up by the next attempt
	_ = p.f.Close()           // it is gone
}
