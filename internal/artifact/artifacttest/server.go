package artifacttest

import (
	"bytes"
	"cmp"
	"crypto/md5" // what S3 servers make ETags of
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// Server is a small S3 server in memory whose failures a test chooses. It
// believes every signature, has one bucket, "bucket", and only what package
// artifact asks for.
type Server struct {
	URL string
	// Fault sees every request first; true: it has answered.
	Fault func(w http.ResponseWriter, r *http.Request) bool
	// Received and Sent count the bytes of parts and of objects that travelled,
	// whether or not they arrived whole.
	Received, Sent atomic.Int64
	// Pace is waited for every 32 KiB of an object.
	Pace time.Duration
	// Plain leaves CRC-64s out, as older servers do.
	Plain bool

	mu      sync.Mutex
	objects map[string]stored
	uploads map[string]*pending
	begun   int
}

type stored struct {
	bytes  []byte
	etag   string
	sha256 string
	crc    string
}

type pending struct {
	key, sha256 string
	parts       map[int]stored
}

// NewServer starts a server that ends with the test.
func NewServer(t testing.TB) *Server {
	s := &Server{objects: map[string]stored{}, uploads: map[string]*pending{}}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.URL = web.URL
	return s
}

// Open returns a store in the server's bucket.
func (s *Server) Open(t testing.TB) *artifact.S3 {
	t.Helper()
	store, err := artifact.NewS3(artifact.Config{Endpoint: s.URL, Bucket: "bucket", AccessKey: "key", SecretKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// Uploads is how many uploads have been neither completed nor aborted.
func (s *Server) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}

// Replace puts an object there, behind its reader's back.
func (s *Server) Replace(key string, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = keep(b)
}

// Remove takes an object away.
func (s *Server) Remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
}

// Object returns what readers see under a key.
func (s *Server) Object(key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[key]
	return o.bytes, ok
}

func keep(b []byte) stored {
	sum := md5.Sum(b)
	crc := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(b)))
	return stored{bytes: b, etag: hex.EncodeToString(sum[:]), crc: crc}
}

// Refuse answers with an error of S3.
func Refuse(w http.ResponseWriter, status int, code string) bool {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test wants</Message></Error>", code) // the client may be gone
	return true
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Fault == nil || !s.Fault(w, r) {
		s.ServeRest(w, r)
	}
}

// ServeRest answers without asking Fault.
func (s *Server) ServeRest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if r.URL.Query().Has("partNumber") {
		defer s.Received.Add(int64(len(body)))
	}
	if err != nil {
		return // the client is gone, and nothing was stored
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket != "bucket" {
		Refuse(w, http.StatusNotFound, "NoSuchBucket")
		return
	}
	if sum := r.Header.Get("X-Amz-Content-Sha256"); len(body) > 0 && len(sum) == 64 && sum != artifact.Digest(body) {
		Refuse(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
		return
	}
	query := r.URL.Query()
	if len(query) == 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		s.get(w, r, key)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case query.Has("uploads") && r.Method == http.MethodGet:
		s.listUploads(w, query.Get("prefix"))
	case query.Has("uploads"):
		s.begin(w, r, key)
	case query.Has("uploadId"):
		s.onUpload(w, r, query.Get("uploadId"), body)
	case query.Has("list-type"):
		s.list(w, query.Get("prefix"))
	case r.Method == http.MethodPut:
		o := keep(body)
		o.sha256 = r.Header.Get("X-Amz-Meta-Sha256")
		s.objects[key] = o
		w.Header().Set("ETag", `"`+o.etag+`"`)
	default:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	}
}

// paced counts what it writes, and takes its time.
type paced struct {
	http.ResponseWriter
	s *Server
}

func (p paced) Write(b []byte) (int, error) {
	time.Sleep(p.s.Pace)
	n, err := p.ResponseWriter.Write(b)
	p.s.Sent.Add(int64(n))
	return n, err
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, key string) {
	s.mu.Lock()
	o, ok := s.objects[key]
	s.mu.Unlock()
	if !ok {
		Refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	w.Header().Set("ETag", `"`+o.etag+`"`)
	if o.sha256 != "" {
		w.Header().Set("X-Amz-Meta-Sha256", o.sha256)
	}
	if r.Header.Get("X-Amz-Checksum-Mode") != "" && !s.Plain {
		w.Header().Set("X-Amz-Checksum-Crc64nvme", o.crc)
	}
	http.ServeContent(paced{w, s}, r, "", time.Unix(1, 0), bytes.NewReader(o.bytes)) // ranges and conditions
}

func (s *Server) begin(w http.ResponseWriter, r *http.Request, key string) {
	s.begun++
	id := fmt.Sprintf("upload-%06d", s.begun)
	s.uploads[id] = &pending{key: key, sha256: r.Header.Get("X-Amz-Meta-Sha256"), parts: map[int]stored{}}
	_, _ = fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id) // the client may be gone
}

func (s *Server) listUploads(w http.ResponseWriter, prefix string) {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(s.uploads)) {
		if key := s.uploads[id].key; strings.HasPrefix(key, prefix) {
			fmt.Fprintf(&b, "<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>", key, id)
		}
	}
	_, _ = fmt.Fprintf(w, "<ListMultipartUploadsResult>%s</ListMultipartUploadsResult>", &b) // the client may be gone
}

func (s *Server) list(w http.ResponseWriter, prefix string) {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if strings.HasPrefix(key, prefix) {
			fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>%d</Size></Contents>", key, len(s.objects[key].bytes))
		}
	}
	_, _ = fmt.Fprintf(w, "<ListBucketResult>%s</ListBucketResult>", &b) // the client may be gone
}

func (s *Server) onUpload(w http.ResponseWriter, r *http.Request, id string, body []byte) {
	u, ok := s.uploads[id]
	switch {
	case !ok:
		Refuse(w, http.StatusNotFound, "NoSuchUpload")
	case r.Method == http.MethodDelete:
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet:
		s.listParts(w, u)
	case r.Method == http.MethodPut:
		s.part(w, r, u, body)
	default:
		s.complete(w, r, id, body)
	}
}

func (s *Server) part(w http.ResponseWriter, r *http.Request, u *pending, body []byte) {
	number, _ := strconv.Atoi(r.URL.Query().Get("partNumber")) // nonsense is part 0
	p := keep(body)
	if !s.Plain {
		if sum := r.Header.Get("X-Amz-Checksum-Crc64nvme"); sum != "" && sum != p.crc {
			Refuse(w, http.StatusBadRequest, "BadDigest")
			return
		}
		w.Header().Set("X-Amz-Checksum-Crc64nvme", p.crc)
	}
	u.parts[number] = p
	w.Header().Set("ETag", `"`+p.etag+`"`)
}

func (s *Server) listParts(w http.ResponseWriter, u *pending) {
	var b strings.Builder
	if !s.Plain {
		b.WriteString("<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>")
	}
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		p := u.parts[number]
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Size>%d</Size><ChecksumCRC64NVME>%s</ChecksumCRC64NVME></Part>",
			number, p.etag, len(p.bytes), p.crc)
	}
	_, _ = fmt.Fprintf(w, "<ListPartsResult>%s</ListPartsResult>", &b) // the client may be gone
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request, id string, body []byte) {
	u := s.uploads[id]
	var order struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	err := xml.Unmarshal(body, &order)
	var whole []byte
	for _, p := range order.Part {
		have, ok := u.parts[p.PartNumber]
		if !ok || have.etag != strings.Trim(p.ETag, `"`) {
			err = cmp.Or(err, fmt.Errorf("part %d is another", p.PartNumber))
		}
		whole = append(whole, have.bytes...)
	}
	o := keep(whole)
	if sum := r.Header.Get("X-Amz-Checksum-Crc64nvme"); err != nil || (sum != "" && sum != o.crc) {
		Refuse(w, http.StatusBadRequest, "InvalidPart")
		return
	}
	o.sha256, o.etag = u.sha256, fmt.Sprintf("%s-%d", o.etag, len(order.Part))
	s.objects[u.key] = o
	delete(s.uploads, id)
	_, _ = fmt.Fprintf(w, "<CompleteMultipartUploadResult><Bucket>bucket</Bucket><Key>%s</Key><ETag>%s</ETag></CompleteMultipartUploadResult>", u.key, o.etag) // the client may be gone
}
