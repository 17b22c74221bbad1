package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
)

// S3 is a bucket of any S3 service that has conditional puts.
type S3 struct {
	bucket string
	client *minio.Core
	// once sends every request a single time: a conditional put that is sent
	// again after a lost answer would fail because of itself.
	once   *minio.Core
	shared *transfers
	// profile is Config.Profile.
	profile string
}

var _ Store = (*S3)(nil)

// attempts bounds minio-go's own retries, which back off exponentially; longer
// outages are the caller's to wait for.
const attempts = 4

// NewS3 returns a store without contacting the service; see [S3.EnsureBucket].
func NewS3(cfg Config) (*S3, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Endpoint == "" {
		cfg.Endpoint = "https://s3." + cfg.Region + ".amazonaws.com"
	}
	endpoint, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, err // Validate has parsed it: not reached
	}
	transport := cfg.Transport
	if transport == nil {
		if transport, err = minio.DefaultTransport(endpoint.Scheme == "https"); err != nil {
			return nil, &Error{Op: "configure", URI: "S3 endpoint", Class: ErrInvalid, Cause: err}
		}
	}
	s := &S3{bucket: cfg.Bucket, profile: cfg.Profile, shared: &transfers{memory: newMemory()}}
	for retries, core := range map[int]**minio.Core{attempts: &s.client, 1: &s.once} {
		// Trailing headers stay off: servers answer BadDigest.
		if *core, err = minio.NewCore(endpoint.Host, &minio.Options{Creds: cfg.signing(), BucketLookup: cfg.lookup(), Transport: transport,
			Secure: endpoint.Scheme == "https", Region: cfg.Region, MaxRetries: retries}); err != nil {
			return nil, &Error{Op: "configure", URI: "S3 endpoint", Class: ErrInvalid, Cause: err}
		}
	}
	return s, nil
}

// EnsureBucket creates the bucket unless it exists.
func (s *S3) EnsureBucket(ctx context.Context) error {
	exists, err := s.client.BucketExists(ctx, s.bucket)
	if err != nil {
		return s.fail(ctx, "find bucket", "", err)
	}
	if exists {
		return nil
	}
	err = s.client.MakeBucket(ctx, s.bucket, minio.MakeBucketOptions{})
	if code := minio.ToErrorResponse(err).Code; code == "BucketAlreadyOwnedByYou" {
		return nil // somebody was faster
	}
	return s.fail(ctx, "create bucket", "", err)
}

// Bucket implements Store.
func (s *S3) Bucket() string { return s.bucket }

// InBucket implements Store.
func (s *S3) InBucket(bucket string) Store {
	other := *s
	other.bucket = bucket
	return &other
}

// sha256Metadata is the user metadata that holds an object's digest.
const sha256Metadata = "Sha256"

// Put implements Store.
func (s *S3) Put(ctx context.Context, key string, r io.Reader, size int64, o PutOptions) (Info, error) {
	if err := checkPut(s, key, size, o); err != nil {
		return Info{}, err
	}
	options := minio.PutObjectOptions{ContentType: o.ContentType}
	if o.SHA256 != "" {
		options.UserMetadata = map[string]string{sha256Metadata: o.SHA256}
	}
	client := s.client
	if o.conditional() {
		if err := s.precheck(ctx, key, size, o); err != nil {
			return Info{}, err
		}
		// minio-go drops conditions from multipart uploads.
		client, options.DisableMultipart = s.once, true
		if o.IfAbsent {
			options.SetMatchETagExcept("*")
		} else {
			options.SetMatchETag(o.IfMatch)
		}
	}
	var done minio.UploadInfo
	var err error
	if o.SHA256 != "" {
		// The server checks the CRC-64, or the digest in the signature.
		signed := o.SHA256
		if o.crc != "" {
			options.UserMetadata[checksumHeader], signed = o.crc, ""
		}
		options.DisableContentSha256 = true
		done, err = client.PutObject(ctx, s.bucket, key, r, size, "", signed, options)
	} else {
		done, err = client.Client.PutObject(ctx, s.bucket, key, r, size, options)
	}
	if err != nil {
		if o.IfMatch != "" && minio.ToErrorResponse(err).Code == minio.NoSuchKey {
			return Info{}, &Error{Op: "put", URI: URI(s, key), Class: ErrPreconditionFailed, Message: "the object is gone"}
		}
		return Info{}, s.fail(ctx, "put", key, err)
	}
	return Info{Key: key, Size: size, ETag: strings.Trim(done.ETag, `"`), Modified: done.LastModified, SHA256: o.SHA256, crc: done.ChecksumCRC64NVME}, nil
}

// precheckAbove is a size that surely fits into a connection's buffers.
const precheckAbove = 64 << 10

// precheck looks at the condition of a large put before the bytes are sent. A
// server that refuses early closes the connection while they are under way,
// and its answer is lost. The server's own check still decides.
func (s *S3) precheck(ctx context.Context, key string, size int64, o PutOptions) error {
	if size <= precheckAbove {
		return nil
	}
	there, err := s.Stat(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		there = Info{}
	case err != nil:
		return err
	}
	if (o.IfAbsent && err == nil) || (o.IfMatch != "" && there.ETag != o.IfMatch) {
		return &Error{Op: "put", URI: URI(s, key), Class: ErrPreconditionFailed}
	}
	return nil
}

// Get implements Store.
func (s *S3) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	if err := checkKey("get", s, key); err != nil {
		return nil, Info{}, err
	}
	body, found, _, err := s.client.GetObject(ctx, s.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, Info{}, s.fail(ctx, "get", key, err)
	}
	return &objectReader{ReadCloser: body, store: s, ctx: ctx, key: key}, info(found, key), nil
}

// Stat implements Store.
func (s *S3) Stat(ctx context.Context, key string) (Info, error) {
	if err := checkKey("stat", s, key); err != nil {
		return Info{}, err
	}
	found, err := s.client.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{Checksum: true})
	if err != nil {
		return Info{}, s.fail(ctx, "stat", key, err)
	}
	return info(found, key), nil
}

func info(o minio.ObjectInfo, key string) Info {
	return Info{Key: key, Size: o.Size, ETag: strings.Trim(o.ETag, `"`), Modified: o.LastModified,
		SHA256: o.UserMetadata[sha256Metadata], crc: o.ChecksumCRC64NVME}
}

// List implements Store.
func (s *S3) List(ctx context.Context, prefix string) ([]Info, error) {
	var found []Info
	for o := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, s.fail(ctx, "list", prefix, o.Err)
		}
		// Some servers list directories as empty objects.
		if !strings.HasSuffix(o.Key, "/") {
			found = append(found, info(o, o.Key))
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, s.fail(ctx, "list", prefix, err) // the iterator may just have stopped
	}
	slices.SortFunc(found, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
	return found, nil
}

// Delete implements Store.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := checkKey("delete", s, key); err != nil {
		return err
	}
	err := s.client.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{})
	if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchKey {
		return s.fail(ctx, "delete", key, err)
	}
	return nil
}

// fail turns an error of minio-go into ours; nil stays nil.
func (s *S3) fail(ctx context.Context, op, key string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, URI: URI(s, key), Profile: s.profile}
	if ctx.Err() != nil {
		e.Message, e.Cause = "given up", ctx.Err()
		return e
	}
	var answer minio.ErrorResponse
	var own *Error
	if errors.As(err, &own) { // the credentials can't be had
		e.Class, e.Hint, e.Message = own.Class, own.Hint, own.Message
	} else if errors.As(err, &answer) {
		e.Class, e.Hint = classify(answer)
		e.Message = fmt.Sprintf("%s: %s", answer.Code, answer.Message)
	} else {
		e.Class, e.Hint, e.Cause = unanswered(err)
	}
	if s.profile != "" {
		e.Hint = ofProfile(e.Hint)
	}
	return e
}

// unanswered classes an error without an answer from the server.
func unanswered(err error) (class error, hint string, cause error) {
	var request *url.Error
	var network net.Error
	var file *fs.PathError
	sent := errors.As(err, &request)
	if sent {
		err = request.Err // the URL would repeat the signature
	}
	switch {
	case errors.As(err, &file): // the bytes to send can't be read
		return nil, "", err
	case sent || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF):
		return ErrUnavailable, "check that the S3 server runs and MAINSPRING_S3_ENDPOINT is right", err
	}
	return nil, "", err
}

func classify(a minio.ErrorResponse) (class error, hint string) { //nolint:revive,staticcheck // the class is a value here, not a failure of this function
	switch a.Code {
	case minio.NoSuchKey:
		return ErrNotFound, ""
	case minio.NoSuchBucket:
		return ErrNotFound, "create the bucket, or correct its name: the URI's, or MAINSPRING_S3_BUCKET for what Mainspring keeps itself"
	case "BucketAlreadyExists":
		return ErrDenied, "the bucket belongs to another account: set MAINSPRING_S3_BUCKET to another name"
	case minio.PreconditionFailed, "ConditionalRequestConflict":
		return ErrPreconditionFailed, ""
	case minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "XAdminUserNotFound":
		return ErrDenied, "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and this host's clock"
	case "XAmzContentSHA256Mismatch", "BadDigest", "XAmzContentChecksumMismatch":
		return ErrCorrupt, "the bytes are not those of the digest, or changed on their way; try again"
	case "InsufficientStorage", "XMinioStorageFull", "QuotaExceeded":
		return ErrUnavailable, "the S3 server's disk is full: free some of it, then try again"
	case "RequestTimeTooSkewed":
		return ErrDenied, "set this host's clock"
	}
	switch {
	case a.StatusCode == http.StatusNotFound:
		return ErrNotFound, ""
	case a.StatusCode == http.StatusPreconditionFailed:
		return ErrPreconditionFailed, ""
	case a.StatusCode == http.StatusConflict:
		return ErrConflict, "choose a key that is not a directory of another"
	case a.StatusCode == http.StatusForbidden || a.StatusCode == http.StatusUnauthorized:
		return ErrDenied, "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and this host's clock"
	case a.StatusCode == http.StatusTooManyRequests || a.StatusCode == http.StatusRequestTimeout || a.StatusCode >= 500:
		return ErrUnavailable, "try again later; the S3 server's log says more"
	}
	return ErrInvalid, ""
}
