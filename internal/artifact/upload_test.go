package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/artifact/artifacttest"
)

const (
	mib = 1 << 20
	// several is a size of many parts and ranges, the last of them short.
	several = 51*mib + 4321
)

func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i>>20*31 + i*i>>9)
	}
	return b
}

func writeFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func isPart(r *http.Request) bool { return r.URL.Query().Has("partNumber") }

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) bool {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close() // that is the fault
	}
	return true
}

func wantObject(t *testing.T, s *artifacttest.Server, key string, want []byte) {
	t.Helper()
	got, ok := s.Object(key)
	if !ok || !bytes.Equal(got, want) {
		t.Errorf("the object %s has %d bytes (there: %v); want the %d of the file", key, len(got), ok, len(want))
	}
	if n := s.Uploads(); n != 0 {
		t.Errorf("%d uploads are left at the server", n)
	}
}

func TestUploadGoesOnWhereItWasInterrupted(t *testing.T) {
	content := pattern(several)
	file := writeFile(t, content)
	s := artifacttest.NewServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if !isPart(r) || len(r.URL.Query().Get("partNumber")) == 1 && r.URL.Query().Get("partNumber") <= "5" {
			return false
		}
		for s.Received.Load() < 5*8*mib && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
		return cut(w)
	})
	_, err := artifact.PutFile(ctx, s.Open(t), "models/m", file)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v; want cancelled", err)
	}
	if _, there := s.Object("models/m"); there || s.Uploads() != 1 {
		t.Fatalf("after an interruption: object there %v, %d uploads; want none, 1", there, s.Uploads())
	}
	s.Break(nil)
	before := s.Received.Load()
	ref, err := artifact.PutFile(t.Context(), s.Open(t), "models/m", file)
	if err != nil || ref.SHA256 != artifact.Digest(content) || ref.Size != several {
		t.Fatalf("reference %v, error %v", ref, err)
	}
	wantObject(t, s, "models/m", content)
	// A part that was under way when it was interrupted may come again.
	if sent := s.Received.Load() - before; sent > several-4*8*mib || sent == 0 {
		t.Errorf("%d of %d bytes were sent the second time, after 5 parts of 8 MiB the first time", sent, several)
	}
}

func TestUploadOfOtherContentSendsItAll(t *testing.T) {
	s := artifacttest.NewServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var parts atomic.Int64
	s.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		if isPart(r) && parts.Add(1) == 4 {
			cancel()
		}
		return false
	})
	if _, err := artifact.PutFile(ctx, s.Open(t), "a", writeFile(t, pattern(several))); err == nil {
		t.Fatal("the first upload was not interrupted")
	}
	s.Break(nil)
	content := bytes.Repeat([]byte("other"), several/5)
	if _, err := artifact.PutFile(t.Context(), s.Open(t), "a", writeFile(t, content)); err != nil {
		t.Fatal(err)
	}
	wantObject(t, s, "a", content)
}

func TestUploadSurvivesALostConnection(t *testing.T) {
	content := pattern(several)
	s := artifacttest.NewServer(t)
	var cuts atomic.Int64
	s.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if isPart(r) && r.URL.Query().Get("partNumber") == "3" && cuts.Add(1) == 1 {
			_, _ = io.CopyN(io.Discard, r.Body, mib) // the test fails anyway
			return cut(w)
		}
		return false
	})
	if _, err := artifact.PutFile(t.Context(), s.Open(t), "a", writeFile(t, content)); err != nil {
		t.Fatal(err)
	}
	wantObject(t, s, "a", content)
	if cuts.Load() != 2 {
		t.Errorf("part 3 was sent %d times", cuts.Load())
	}
}

// TestUploadThatAnotherWriterEnds: the server then no longer knows the upload, or
// has other parts of it.
func TestUploadThatAnotherWriterEnds(t *testing.T) {
	for code, during := range map[string]func(*http.Request) bool{
		"NoSuchUpload": func(r *http.Request) bool { return isPart(r) && r.URL.Query().Get("partNumber") == "6" },
		"InvalidPart":  func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") },
	} {
		t.Run(code, func(t *testing.T) {
			content := pattern(several)
			s := artifacttest.NewServer(t)
			var ended atomic.Bool
			s.Break(func(w http.ResponseWriter, r *http.Request) bool {
				return during(r) && ended.CompareAndSwap(false, true) && artifacttest.Refuse(w, http.StatusNotFound, code)
			})
			if _, err := artifact.PutFile(t.Context(), s.Open(t), "a", writeFile(t, content)); err != nil {
				t.Fatal(err)
			}
			wantObject(t, s, "a", content)
		})
	}
}

func TestUploadWithoutTheRightToListUploads(t *testing.T) {
	content := pattern(several)
	s := artifacttest.NewServer(t)
	s.Break(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodGet && r.URL.Query().Has("uploads") && artifacttest.Refuse(w, http.StatusForbidden, "AccessDenied")
	})
	if _, err := artifact.PutFile(t.Context(), s.Open(t), "a", writeFile(t, content)); err != nil {
		t.Fatal(err)
	}
	wantObject(t, s, "a", content)
}

func TestUploadToAServerWithoutCRC64(t *testing.T) {
	for name, size := range map[string]int{"one request": 5 * mib, "parts": several} {
		t.Run(name, func(t *testing.T) {
			content := pattern(size)
			s := artifacttest.NewServer(t)
			s.Plain = true
			sums := make(chan [2]string, 100)
			s.Break(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPut {
					sums <- [2]string{r.URL.Query().Get("partNumber"), r.Header.Get("X-Amz-Content-Sha256")}
				}
				return false
			})
			if _, err := artifact.PutFile(t.Context(), s.Open(t), "a", writeFile(t, content)); err != nil {
				t.Fatal(err)
			}
			wantObject(t, s, "a", content)
			close(sums)
			unsigned := map[string]bool{}
			for sum := range sums {
				unsigned[sum[0]] = sum[1] == "UNSIGNED-PAYLOAD" // the last time
			}
			for part, bad := range unsigned {
				if bad {
					t.Errorf("part %q was never checked by the server", part)
				}
			}
		})
	}
}

// flipping damages a byte on the way.
type flipping struct {
	io.ReadCloser
	done bool
}

func (f *flipping) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	if n > 0 && !f.done {
		b[0] ^= 1
		f.done = true
	}
	return n, err
}

func TestUploadDamagedOnItsWay(t *testing.T) {
	for name, size := range map[string]int{"one small request": 100_000, "one request": 5 * mib, "parts": several} {
		t.Run(name, func(t *testing.T) {
			s := artifacttest.NewServer(t)
			s.Break(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPut {
					r.Body = &flipping{ReadCloser: r.Body}
				}
				return false
			})
			_, err := artifact.PutFile(t.Context(), s.Open(t), "models/m", writeFile(t, pattern(size)))
			wantError(t, err, artifact.ErrCorrupt, "s3://bucket/models/m")
			if _, there := s.Object("models/m"); there {
				t.Error("damaged bytes became an object")
			}
		})
	}
}

// wantError wants a class, and texts that name the object and what to do.
func wantError(t *testing.T, err, class error, texts ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("error %v; want one of class %q", err, class)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

func TestTransferErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		code   string
		class  error
		hint   string
	}{
		"no bucket":         {http.StatusNotFound, "NoSuchBucket", artifact.ErrNotFound, "create the bucket"},
		"wrong credentials": {http.StatusForbidden, "SignatureDoesNotMatch", artifact.ErrDenied, "check AWS_ACCESS_KEY_ID"},
		"server's disk":     {http.StatusInsufficientStorage, "InsufficientStorage", artifact.ErrUnavailable, "disk is full"},
	} {
		t.Run(name, func(t *testing.T) {
			s := artifacttest.NewServer(t)
			s.Break(func(w http.ResponseWriter, _ *http.Request) bool { return artifacttest.Refuse(w, tt.status, tt.code) })
			for _, size := range []int{100, several} {
				_, err := artifact.PutFile(t.Context(), s.Open(t), "models/m", writeFile(t, pattern(size)))
				wantError(t, err, tt.class, "s3://bucket/models/m", tt.hint)
			}
			_, _, err := s.Open(t).GetRange(t.Context(), "models/m", 0, 1, "")
			if name != "no bucket" || errors.Is(err, tt.class) { // a GET has the code too
				wantError(t, err, tt.class, "s3://bucket/models/m", tt.hint)
			}
		})
	}
}

func TestFileThatChangesIsNotStored(t *testing.T) {
	for name, put := range map[string]func(context.Context, artifact.Store, string) error{
		"file": func(ctx context.Context, s artifact.Store, file string) error {
			_, err := artifact.PutFile(ctx, s, "models/m", file)
			return err
		},
		"object": func(ctx context.Context, s artifact.Store, file string) error {
			_, err := artifact.PutObjectFile(ctx, s, file)
			return err
		},
		"tree": func(ctx context.Context, s artifact.Store, file string) error {
			_, err := artifact.PutTree(ctx, s, filepath.Dir(file), "models/m")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := artifacttest.NewServer(t)
			file := writeFile(t, pattern(several))
			var changed atomic.Bool
			s.Break(func(_ http.ResponseWriter, r *http.Request) bool {
				if isPart(r) && changed.CompareAndSwap(false, true) {
					f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
					if err == nil {
						_, err = f.WriteString("more")
					}
					if err = errors.Join(err, f.Close()); err != nil {
						t.Error(err)
					}
				}
				return false
			})
			err := put(t.Context(), s.Open(t), file)
			wantError(t, err, artifact.ErrChanged, file, "upload it when its writer has finished")
			for _, key := range []string{"models/m", "models/m/file", "models/m.json"} {
				if _, there := s.Object(key); there {
					t.Errorf("%s was stored", key)
				}
			}
			if s.Uploads() != 0 {
				t.Error("the upload is left at the server")
			}
		})
	}
}
