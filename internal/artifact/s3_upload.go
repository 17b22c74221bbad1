package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/crc64nvme"
	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// transfers is what all uploads of a store share, in whatever bucket.
type transfers struct {
	memory *memory
	// signed says that the server has not checked a part's CRC-64: parts then go
	// with their SHA-256 in the signature, which every server checks.
	signed atomic.Bool
}

// Upload implements Store.
func (s *S3) Upload(ctx context.Context, key string, r io.ReaderAt, size int64, o PutOptions) (Info, error) {
	if err := checkPut(s, key, size, o); err != nil {
		return Info{}, err
	}
	if size <= sentWhole {
		return s.uploadWhole(ctx, key, r, size, o)
	}
	if o.conditional() {
		if err := s.precheck(ctx, key, size, o); err != nil {
			return Info{}, err
		}
	}
	// Another writer of the key may take the upload away, by completing it or by
	// finishing its own. An upload of one's own is then made anew.
	const takenAway = 3
	for attempt := 1; ; attempt++ {
		u := &upload{s: s, key: key, r: r, size: size, o: o, fresh: attempt > 1}
		info, err := u.run(ctx)
		if err == nil || !errors.Is(err, errTaken) || attempt == takenAway {
			return info, err
		}
	}
}

// uploadWhole sends a file in one request, out of the memory that it was hashed
// in.
func (s *S3) uploadWhole(ctx context.Context, key string, r io.ReaderAt, size int64, o PutOptions) (Info, error) {
	b, give, err := s.shared.memory.borrow(ctx, size)
	if err != nil {
		return Info{}, s.fail(ctx, "put", key, err)
	}
	defer give()
	if err := readPart(r, b, 0, URI(s, key)); err != nil {
		return Info{}, err
	}
	digest, crc := o.SHA256, checksum(crc64nvme.Checksum(b))
	if o.crc != crc {
		digest = Digest(b)
	}
	if err := settled(r, digest, URI(s, key), &o); err != nil {
		return Info{}, err
	}
	// A put that was not checked is repeated, which a conditional one can't be.
	if o.crc = ""; size > signedBytes && !o.conditional() && !s.shared.signed.Load() {
		o.crc = crc
	}
	done, err := s.Put(ctx, key, bytes.NewReader(b), size, o)
	if err == nil && o.crc != "" && done.crc != o.crc {
		s.shared.signed.Store(true)
		o.crc = ""
		done, err = s.Put(ctx, key, bytes.NewReader(b), size, o)
	}
	return done, err
}

// errTaken: the server no longer knows the upload, or has other parts of it.
var errTaken = errors.New("another writer of the key has ended the upload")

// upload is one multipart upload.
//
// The parts are read, hashed and numbered one after the other and sent several
// at a time, from the memory they were hashed in: what arrives is what was
// hashed. The server checks every part, by its CRC-64 or SHA-256, and the whole.
type upload struct {
	s     *S3
	key   string
	r     io.ReaderAt
	size  int64
	o     PutOptions
	fresh bool // don't look for an interrupted upload

	id     string
	stale  []string // other uploads of the key
	there  map[int]minio.ObjectPart
	parts  []minio.CompletePart // by number, from 1
	digest hash.Hash            // nil: the CRC-64 tells whether the bytes are those of o.SHA256
	crc    hash.Hash64
}

func (u *upload) run(ctx context.Context) (Info, error) {
	if err := u.begin(ctx); err != nil {
		return Info{}, err
	}
	u.crc = newCRC()
	if u.o.SHA256 == "" || u.o.crc == "" {
		u.digest = sha256.New()
	}
	err := u.send(ctx)
	if err == nil {
		err = u.settle()
	}
	var done Info
	if err == nil {
		done, err = u.complete(ctx)
	}
	if err != nil {
		if !worthResuming(ctx, err) || errors.Is(err, errTaken) {
			u.abort(ctx, u.id)
		}
		return Info{}, err
	}
	for _, id := range u.stale {
		u.abort(ctx, id)
	}
	return done, nil
}

// worthResuming: the same upload may succeed later.
func worthResuming(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrDenied)
}

// abort frees what the server holds of an upload. It is only tidying: nobody
// sees the parts, and the next upload of the key tries again.
func (u *upload) abort(ctx context.Context, id string) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_ = u.s.client.AbortMultipartUpload(ctx, u.s.bucket, u.key, id)
}

// addressed: the key names the content, so every upload of it has the same
// bytes and metadata.
func (u *upload) addressed() bool { return u.o.SHA256 != "" && strings.HasSuffix(u.key, u.o.SHA256) }

const (
	checksumAlgorithm = "CRC64NVME"
	checksumHeader    = "X-Amz-Checksum-Crc64nvme"
)

// begin continues the newest interrupted upload of the key, or starts one.
//
// The metadata of an object are fixed when its upload starts, before a file that
// is read once has a digest, and they can't be read from an interrupted upload.
// So only uploads of addressed keys have the digest as metadata; that of others
// is in the reference.
func (u *upload) begin(ctx context.Context) error {
	count := (u.size + partSize(u.size) - 1) / partSize(u.size)
	u.parts = make([]minio.CompletePart, count)
	if !u.fresh {
		if err := u.find(ctx); err != nil || u.id != "" {
			return err
		}
	}
	options := minio.PutObjectOptions{ContentType: u.o.ContentType,
		UserMetadata: map[string]string{"X-Amz-Checksum-Algorithm": checksumAlgorithm, "X-Amz-Checksum-Type": "FULL_OBJECT"}}
	if u.addressed() {
		options.UserMetadata[sha256Metadata] = u.o.SHA256
	}
	var err error
	u.id, err = u.s.client.NewMultipartUpload(ctx, u.s.bucket, u.key, options)
	return u.s.fail(ctx, "start upload of", u.key, err)
}

// send reads the parts in order and sends those that the server lacks.
func (u *upload) send(ctx context.Context) error {
	group, inGroup := errgroup.WithContext(ctx)
	group.SetLimit(partTransfers)
	var failed error
	for i := range u.parts {
		offset := int64(i) * partSize(u.size)
		b, give, err := u.s.shared.memory.borrow(inGroup, min(partSize(u.size), u.size-offset))
		if err != nil {
			break // a part has failed, or the caller gave up
		}
		if failed = readPart(u.r, b, offset, URI(u.s, u.key)); failed != nil {
			give()
			break
		}
		if u.digest != nil {
			_, _ = u.digest.Write(b) // never fails
		}
		_, _ = u.crc.Write(b) // never fails
		group.Go(func() error {
			defer give()
			return u.sendPart(inGroup, i+1, b)
		})
	}
	err := group.Wait()
	switch {
	case failed != nil:
		return failed
	case err == nil && ctx.Err() != nil:
		return u.s.fail(ctx, "upload", u.key, ctx.Err())
	}
	return err
}

func (u *upload) sendPart(ctx context.Context, number int, b []byte) error {
	sum := checksum(crc64nvme.Checksum(b))
	if there, ok := u.there[number]; ok && there.Size == int64(len(b)) && there.ChecksumCRC64NVME == sum {
		u.parts[number-1] = minio.CompletePart{PartNumber: number, ETag: there.ETag, ChecksumCRC64NVME: there.ChecksumCRC64NVME}
		return nil
	}
	for {
		options := minio.PutObjectPartOptions{DisableContentSha256: true, CustomHeader: http.Header{}}
		signed := u.s.shared.signed.Load()
		if signed {
			options.Sha256Hex = Digest(b)
		} else {
			options.CustomHeader.Set(checksumHeader, sum)
		}
		part, err := u.s.client.PutObjectPart(ctx, u.s.bucket, u.key, u.id, number, bytes.NewReader(b), int64(len(b)), options)
		if minio.ToErrorResponse(err).Code == minio.NoSuchUpload {
			return u.taken(err)
		}
		if err != nil {
			return u.s.fail(ctx, "upload", u.key, err)
		}
		if !signed && part.ChecksumCRC64NVME != sum {
			u.s.shared.signed.Store(true)
			continue
		}
		u.parts[number-1] = minio.CompletePart{PartNumber: number, ETag: part.ETag, ChecksumCRC64NVME: part.ChecksumCRC64NVME}
		return nil
	}
}

func (u *upload) taken(cause error) error {
	return &Error{Op: "upload", URI: URI(u.s, u.key), Class: ErrUnavailable, Cause: errors.Join(errTaken, cause),
		Hint: "try again when nobody else uploads the same key"}
}

// settle compares what was read with what was announced.
func (u *upload) settle() error {
	digest := u.o.SHA256
	switch {
	case u.digest != nil:
		digest = sumOf(u.digest)
	case sumOfCRC(u.crc) != u.o.crc:
		digest = "another one"
	}
	return settled(u.r, digest, URI(u.s, u.key), &u.o)
}

// complete makes the object of the parts.
func (u *upload) complete(ctx context.Context) (Info, error) {
	var options minio.PutObjectOptions
	if !u.s.shared.signed.Load() {
		options.UserMetadata = map[string]string{checksumHeader: sumOfCRC(u.crc), "X-Amz-Checksum-Type": "FULL_OBJECT"}
	}
	client := u.s.client
	switch {
	case u.o.IfAbsent:
		client = u.s.once
		options.SetMatchETagExcept("*")
	case u.o.IfMatch != "":
		client = u.s.once
		options.SetMatchETag(u.o.IfMatch)
	}
	done, err := client.CompleteMultipartUpload(ctx, u.s.bucket, u.key, u.id, u.parts, options)
	switch code := minio.ToErrorResponse(err).Code; {
	case err == nil:
		return Info{Key: u.key, Size: u.size, ETag: strings.Trim(done.ETag, `"`), SHA256: u.o.SHA256}, nil
	case code == minio.NoSuchUpload || code == minio.InvalidPart:
		return Info{}, u.taken(err)
	case code == minio.NoSuchKey && u.o.IfMatch != "":
		return Info{}, &Error{Op: "put", URI: URI(u.s, u.key), Class: ErrPreconditionFailed, Message: "the object is gone"}
	}
	return Info{}, u.s.fail(ctx, "complete upload of", u.key, err)
}
