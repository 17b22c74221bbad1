package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/artifact/artifacttest"
)

// served is a server with the object "a", and where it is fetched to.
func served(t *testing.T, content []byte) (s *artifacttest.Server, file string) {
	t.Helper()
	s = artifacttest.NewServer(t)
	s.Replace("a", content)
	return s, filepath.Join(t.TempDir(), "out", "file")
}

func wantFile(t *testing.T, file string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes (%v); want the %d of the object", file, len(got), err, len(want))
	}
	wantNothingBut(t, file)
}

// wantNothingBut wants no left-overs beside a file.
func wantNothingBut(t *testing.T, file string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != filepath.Base(file) {
			t.Errorf("%s was left", entry.Name())
		}
	}
}

func isRange(r *http.Request) bool { return r.Header.Get("Range") != "" }

// interrupt fetches until about a number of bytes have been sent.
func interrupt(t *testing.T, s *artifacttest.Server, file string, after int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.SlowDown(50 * time.Microsecond)
	go func() {
		for s.Sent.Load() < after && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := artifact.GetFile(ctx, s.Open(t), "a", file, "")
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v; want cancelled", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Fatal("a file that is not complete was shown")
	}
	s.SlowDown(0)
}

func TestDownloadGoesOnWhereItWasInterrupted(t *testing.T) {
	content := pattern(several)
	s, file := served(t, content)
	interrupt(t, s, file, 35*mib)
	before := s.Sent.Load()
	ref, err := artifact.GetFile(t.Context(), s.Open(t), "a", file, artifact.Digest(content))
	if err != nil || ref.Size != several || ref.SHA256 != artifact.Digest(content) {
		t.Fatalf("reference %v, error %v", ref, err)
	}
	wantFile(t, file, content)
	if sent := s.Sent.Load() - before; sent == 0 || sent > several-20*mib {
		t.Errorf("%d of %d bytes came the second time, after 35 MiB the first time", sent, several)
	}
}

// TestDownloadDistrustsItsPart: what a crash has damaged is fetched again.
func TestDownloadDistrustsItsPart(t *testing.T) {
	content := pattern(several)
	for name, damage := range map[string]func(part []byte) []byte{
		"a block":             func(part []byte) []byte { part[5*mib] ^= 1; return part },
		"the note's end":      func(part []byte) []byte { return part[:len(part)-40] },
		"the whole note":      func(part []byte) []byte { return part[:several] },
		"everything":          func(part []byte) []byte { return nil },
		"another's rest":      func(part []byte) []byte { return append(part, pattern(100)...) },
		"all blocks, no note": func(part []byte) []byte { return bytes.Repeat([]byte{0xff}, len(part)) },
	} {
		t.Run(name, func(t *testing.T) {
			s, file := served(t, content)
			interrupt(t, s, file, 35*mib)
			part := filepath.Join(filepath.Dir(file), ".file.part")
			b, err := os.ReadFile(part)
			if err == nil {
				err = os.WriteFile(part, damage(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			before := s.Sent.Load()
			if _, err := artifact.GetFile(t.Context(), s.Open(t), "a", file, artifact.Digest(content)); err != nil {
				t.Fatal(err)
			}
			wantFile(t, file, content)
			if sent := s.Sent.Load() - before; name == "a block" && sent > several-10*mib {
				t.Errorf("%d bytes came again, where one block was damaged", sent)
			}
		})
	}
}

func TestDownloadOfAnObjectThatWasReplacedInBetween(t *testing.T) {
	s, file := served(t, pattern(several))
	interrupt(t, s, file, 35*mib)
	content := bytes.Repeat([]byte("other"), several/5)
	s.Replace("a", content)
	if _, err := artifact.GetFile(t.Context(), s.Open(t), "a", file, ""); err != nil {
		t.Fatal(err)
	}
	wantFile(t, file, content)
}

func TestDownloadSurvivesLostConnections(t *testing.T) {
	content := pattern(several)
	s, file := served(t, content)
	var ranges atomic.Int64
	s.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if !isRange(r) || ranges.Add(1)%2 == 0 {
			return false
		}
		s.ServeRest(&short{ResponseWriter: w, left: 5*mib + 99}, r)
		return true
	})
	if _, err := artifact.GetFile(t.Context(), s.Open(t), "a", file, artifact.Digest(content)); err != nil {
		t.Fatal(err)
	}
	wantFile(t, file, content)
	if ranges.Load() < 4 {
		t.Errorf("%d ranges", ranges.Load())
	}
}

func TestSmallDownloadSurvivesALostConnection(t *testing.T) {
	content := pattern(3 * mib)
	s, file := served(t, content)
	var gets atomic.Int64
	s.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if gets.Add(1) > 1 {
			return false
		}
		s.ServeRest(&short{ResponseWriter: w, left: mib}, r)
		return true
	})
	if _, err := artifact.GetFile(t.Context(), s.Open(t), "a", file, ""); err != nil {
		t.Fatal(err)
	}
	wantFile(t, file, content)
}

// short breaks the connection after some bytes.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(b []byte) (int, error) {
	if s.left -= len(b); s.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return s.ResponseWriter.Write(b)
}

// TestDownloadFailures: the error names the object, and nothing is left.
func TestDownloadFailures(t *testing.T) {
	content := pattern(several)
	for name, tt := range map[string]struct {
		during func(s *artifacttest.Server) // with the second range
		want   string
		class  error
	}{
		"replaced": {func(s *artifacttest.Server) { s.Replace("a", pattern(several+1)) }, "", artifact.ErrPreconditionFailed},
		"vanished": {func(s *artifacttest.Server) { s.Remove("a") }, "", artifact.ErrNotFound},
		"digest":   {func(*artifacttest.Server) {}, artifact.Digest([]byte("other")), artifact.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			s, file := served(t, content)
			var ranges atomic.Int64
			s.Break(func(_ http.ResponseWriter, r *http.Request) bool {
				if isRange(r) && ranges.Add(1) == 2 {
					tt.during(s)
				}
				return false
			})
			_, err := artifact.GetFile(t.Context(), s.Open(t), "a", file, tt.want)
			wantError(t, err, tt.class, "s3://bucket/a")
			if _, err := os.Stat(file); err == nil {
				t.Error("the file was shown")
			}
			wantNothingBut(t, file)
		})
	}
}

func TestDownloadFromAServerThatStaysAway(t *testing.T) {
	content := pattern(several)
	s, file := served(t, content)
	s.Break(func(w http.ResponseWriter, r *http.Request) bool {
		return isRange(r) && artifacttest.Refuse(w, http.StatusForbidden, "AccessDenied")
	})
	_, err := artifact.GetFile(t.Context(), s.Open(t), "a", file, "")
	wantError(t, err, artifact.ErrDenied, "s3://bucket/a", "AWS_ACCESS_KEY_ID")
	wantNothingBut(t, file)
}

func TestSameFileTwiceAtATime(t *testing.T) {
	content := pattern(several)
	s, file := served(t, content)
	var group errgroup.Group
	for range 3 {
		group.Go(func() error {
			_, err := artifact.GetFile(t.Context(), s.Open(t), "a", file, artifact.Digest(content))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	wantFile(t, file, content)
}

func TestTreeGoesOnWhereItWasInterrupted(t *testing.T) {
	s := artifacttest.NewServer(t)
	store := s.Open(t)
	dir := t.TempDir()
	content := map[string][]byte{"a": pattern(9 * mib), "b": pattern(several), "c/d": []byte("small"), "z": pattern(17 * mib)}
	for name, b := range content {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	ref, err := artifact.PutTree(t.Context(), store, dir, "models/m")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.SlowDown(50 * time.Microsecond)
	start := s.Sent.Load()
	go func() {
		for s.Sent.Load()-start < 55*mib && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if err := artifact.GetTree(ctx, store, ref, out); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v; want cancelled", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Fatal("a tree that is not complete was shown")
	}
	// A process that is killed leaves the small file that it was writing as well.
	killed := filepath.Join(filepath.Dir(out), ".out.part", "fresh", "c", ".d.part-123")
	if err := errors.Join(os.MkdirAll(filepath.Dir(killed), 0o700), os.WriteFile(killed, []byte("sm"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s.SlowDown(0)
	before := s.Sent.Load()
	if err := artifact.GetTree(t.Context(), store, ref, out); err != nil {
		t.Fatal(err)
	}
	for name, want := range content {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes (%v); want %d", name, len(got), err, len(want))
		}
	}
	wantNothingBut(t, out)
	if sent := s.Sent.Load() - before; sent > 40*mib {
		t.Errorf("%d bytes came the second time, after 55 MiB the first time", sent)
	}
	if left := leftovers(t, out); left != "" {
		t.Errorf("the tree holds %s", left)
	}
}

func leftovers(t *testing.T, dir string) string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), ".") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(found, " ")
}
