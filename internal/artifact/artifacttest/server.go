package artifacttest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	// Received and Sent count the bytes of parts and of objects that travelled,
	// whether or not they arrived whole.
	Received, Sent atomic.Int64
	// Plain leaves CRC-64s out, as older servers do.
	Plain bool

	pace    atomic.Int64
	mu      sync.Mutex
	fault   Fault
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

// Fault sees every request first; true: it has answered.
type Fault func(w http.ResponseWriter, r *http.Request) bool

// Break sets the fault; nil: none.
func (s *Server) Break(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// SlowDown lets every 32 KiB of an object take so long.
func (s *Server) SlowDown(pace time.Duration) { s.pace.Store(int64(pace)) }

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
	sum := crc64nvme.Checksum(b)
	crc := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
	return stored{bytes: b, etag: fmt.Sprintf("%x-%x", len(b), sum), crc: crc}
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
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if fault == nil || !fault(w, r) {
		s.ServeRest(w, r)
	}
}

// ServeRest answers without asking the fault.
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
		if !s.checked(w, r, o) {
			return
		}
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
	time.Sleep(time.Duration(p.s.pace.Load()))
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
