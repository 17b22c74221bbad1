package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

func restartFolder(restart int) string { return fmt.Sprintf("restart-%d/", restart) }

func leftOutNote(head, tail int64) string {
	return fmt.Sprintf("\n[mainspring] the log has more than %s: from here on output is left out, but for the last %s once the rank has ended\n",
		models.Bytes(head), models.Bytes(tail))
}

// readFrom reads at most limit bytes from an offset; all says that they reach
// the end of the file.
func readFrom(path string, offset, limit int64) (data []byte, all bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return nil, false, err
	}
	data, err = io.ReadAll(io.LimitReader(file, limit))
	return data, int64(len(data)) < limit, err
}

// readTail returns the masked end of a log that begins at the earliest at an
// offset. Reading begins before it, to recognise a secret that it would split.
func (s *logShipper) readTail(path string, earliest int64) (tail []byte, from int64, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	from = max(info.Size()-s.tail, earliest)
	before := min(from, int64(s.mask.longest()))
	if from >= info.Size() {
		return nil, from, nil
	}
	data, _, err := readFrom(path, from-before, info.Size()-from+before)
	if err != nil || int64(len(data)) < before {
		return nil, from, err
	}
	return s.mask.mask(data, true)[before:], from, nil
}

// storeWhole stores what is kept of a log as one object. The masked copy is
// written to a file of its own first.
func (s *logShipper) storeWhole(ctx context.Context, log *shippedLog, uri, copyPath string) error {
	if s.mask.blind {
		return nil
	}
	if _, err := os.Stat(log.path); err != nil {
		return err
	}
	bucket, key, err := artifact.ParseURI(uri)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(copyPath, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(copyPath) }() // the log itself stays for a day
	if err := errors.Join(s.writeMasked(file, log.path), file.Close()); err != nil {
		return err
	}
	_, err = artifact.PutFile(ctx, s.store.InBucket(bucket), key, copyPath)
	return err
}

func (s *logShipper) writeMasked(w io.Writer, path string) error {
	for at := int64(0); at < s.head; {
		data, all, err := readFrom(path, at, min(readAtOnce, s.head-at))
		if err != nil {
			return err
		}
		shown := s.mask.mask(data, all)
		if _, err := w.Write(shown); err != nil {
			return err
		}
		if at += int64(len(shown)); all || len(shown) == 0 {
			break
		}
	}
	tail, _, err := s.readTail(path, s.head)
	if err != nil || len(tail) == 0 {
		return err
	}
	_, err = io.WriteString(w, leftOutNote(s.head, s.tail)+string(tail))
	return err
}

// maskError takes secrets out of a log's last lines in an error, which is kept
// in workflow histories.
func (s *logShipper) maskError(err *models.Error) {
	switch {
	case err == nil:
	case s == nil || s.mask.blind:
		err.Message, _, _ = strings.Cut(err.Message, "; its last lines:")
	default:
		err.Message = s.mask.text(err.Message)
	}
}
