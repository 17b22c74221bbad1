package artifact

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// wholeBytes is up to which size an object comes in one request; a larger one
	// comes in ranges, several at a time.
	wholeBytes = 16 << 20
	// blockBytes is what a download that was interrupted loses of a range at most.
	blockBytes = 1 << 20
	// rangeBlocks is how many blocks one request is for.
	rangeBlocks = 32
	// rangeTransfers is how many ranges of an object come at a time.
	rangeTransfers = 6
	copyBytes      = 512 << 10
)

// download fetches one object into one file.
type download struct {
	s    Store
	key  string
	file string
	want string // digest; empty: any
	size int64  // as far as it is known; 0: not
}

// fetch makes the file's directory and the file. It appears when its bytes are
// complete and verified.
func (d download) fetch(ctx context.Context) (models.Ref, error) {
	for attempt := 1; ; attempt++ {
		body, info, err := d.open(ctx)
		if err != nil {
			return models.Ref{}, err
		}
		if d.want == "" {
			d.want = info.SHA256
		}
		if err := os.MkdirAll(filepath.Dir(d.file), 0o755); err != nil {
			err = errors.Join(err, body.Close()) // nothing of it is used
			return models.Ref{}, writeError(d.file, err, info.Size)
		}
		if info.Size > wholeBytes {
			_ = body.Close() // ranges are read instead
			return d.inRanges(ctx, info)
		}
		digest, err := d.whole(body, info)
		if errors.Is(err, ErrUnavailable) && again(ctx, attempt) {
			continue // the connection broke
		}
		return models.Ref{URI: URI(d.s, d.key), SHA256: digest, Size: info.Size}, err
	}
}

// open asks for the whole object, unless it is known to come in ranges.
func (d download) open(ctx context.Context) (io.ReadCloser, Info, error) {
	if d.size <= wholeBytes {
		return d.s.Get(ctx, d.key)
	}
	info, err := d.s.Stat(ctx, d.key)
	if err == nil && info.Size <= wholeBytes { // not what it was said to be
		return d.s.Get(ctx, d.key)
	}
	return io.NopCloser(nil), info, err
}

// again waits before another attempt, if there is one.
func again(ctx context.Context, attempt int) bool {
	const pause = 100 * time.Millisecond
	if ctx.Err() != nil || attempt >= attempts {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause << attempt):
		return true
	}
}

// whole copies a small object.
func (d download) whole(body io.ReadCloser, info Info) (digest string, err error) {
	defer func() { _ = body.Close() }() // read errors are reported by the copy
	part, err := os.CreateTemp(filepath.Dir(d.file), "."+filepath.Base(d.file)+".part-*")
	if err != nil {
		return "", writeError(d.file, err, info.Size)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name()) // best effort: the name shows that it is left over
		}
	}()
	h := sha256.New()
	w := &writer{file: d.file, w: part, missing: info.Size}
	size, err := io.CopyBuffer(w, io.TeeReader(body, h), make([]byte, min(info.Size+1, copyBytes)))
	if closed := errors.Join(part.Chmod(0o644), part.Close()); err == nil && closed != nil {
		err = writeError(d.file, closed, 0)
	}
	switch digest = sumOf(h); {
	case err != nil:
		return "", d.interrupted(err)
	case size != info.Size:
		return "", d.interrupted(io.ErrUnexpectedEOF)
	case d.want != "" && digest != d.want:
		return "", corrupt("get", URI(d.s, d.key), digest, d.want)
	}
	if err := os.Rename(part.Name(), d.file); err != nil {
		return "", writeError(d.file, err, info.Size)
	}
	return digest, nil
}

// interrupted gives the failure of a copy the object's name, if it has none.
func (d download) interrupted(err error) error {
	var rich *Error
	if errors.As(err, &rich) {
		return err
	}
	return &Error{Op: "get", URI: URI(d.s, d.key), Class: ErrUnavailable, Cause: err,
		Message: "download to " + d.file + " was interrupted", Hint: "try again"}
}

// inRanges copies a large object. What an earlier attempt has left is used; if
// the whole then has another digest, the object is fetched anew.
func (d download) inRanges(ctx context.Context, info Info) (models.Ref, error) {
	for {
		p, err := openPart(d.file, partHead{URI: URI(d.s, d.key), ETag: info.ETag, Size: info.Size})
		if err != nil {
			return models.Ref{}, writeError(d.file, err, info.Size)
		}
		digest, err := d.fill(ctx, p, info)
		switch {
		case err == nil && d.want != "" && digest != d.want:
			p.remove()
			if p.kept() > 0 {
				continue
			}
			return models.Ref{}, corrupt("get", URI(d.s, d.key), digest, d.want)
		case err == nil:
			err = p.finish()
		case ctx.Err() != nil || errors.Is(err, ErrUnavailable):
			p.leave()
			return models.Ref{}, err
		}
		if err != nil {
			p.remove()
			return models.Ref{}, err
		}
		return models.Ref{URI: URI(d.s, d.key), SHA256: digest, Size: info.Size}, nil
	}
}

// fill completes the part file and returns its digest, which is computed behind
// the ranges that arrive.
func (d download) fill(ctx context.Context, p *partFile, info Info) (digest string, err error) {
	if err := enoughSpace(d.file, p.missing()); err != nil {
		return "", err
	}
	group, inGroup := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		digest, err = p.digest(inGroup)
		return err
	})
	ranges := make(chan blockRange)
	group.Go(func() error {
		defer close(ranges)
		for _, r := range p.ranges() {
			select {
			case ranges <- r:
			case <-inGroup.Done():
				return nil // the reason is another's
			}
		}
		return nil
	})
	for range rangeTransfers {
		group.Go(func() error {
			buffer := make([]byte, copyBytes)
			for r := range ranges {
				if err := d.blocks(inGroup, p, r, info.ETag, buffer); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return digest, group.Wait()
}

// blocks brings a range of blocks into the part file: those that are there are
// only checked. A connection that breaks is taken up again at the block it was
// in, as long as each attempt brings some.
func (d download) blocks(ctx context.Context, p *partFile, r blockRange, etag string, buffer []byte) error {
	for r.from < r.to && p.check(r.from, buffer) {
		r.from++
	}
	for attempt := 1; r.from < r.to; attempt++ {
		from := r.from
		err := d.copyRange(ctx, p, &r, etag, buffer)
		if err == nil {
			continue
		}
		if r.from > from {
			attempt = 1
		}
		if !errors.Is(err, ErrUnavailable) || !again(ctx, attempt) {
			return err
		}
	}
	return nil
}

// copyRange moves r.from behind every block that has come.
func (d download) copyRange(ctx context.Context, p *partFile, r *blockRange, etag string, buffer []byte) error {
	start, end := p.span(*r)
	body, _, err := d.s.GetRange(ctx, d.key, start, end-start, etag)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // read errors are reported by the copy
	for ; r.from < r.to; r.from++ {
		if err := p.fill(r.from, body, buffer); err != nil {
			return d.interrupted(err)
		}
	}
	return nil
}
