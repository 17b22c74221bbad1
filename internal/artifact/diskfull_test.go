package artifact_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/artifact/artifacttest"
)

// smallDisk mounts a file system of so many MiB.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("NOT TESTED: a small disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func wantDiskFull(t *testing.T, err error, dir string) {
	t.Helper()
	wantError(t, err, artifact.ErrDiskFull, dir, "disk full: needs ", "free space in ")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != "filler" {
			t.Errorf("%s was left on the full disk", entry.Name())
		}
	}
}

func TestFullDisk(t *testing.T) {
	for name, size := range map[string]int{"whole": 10 * mib, "ranges": several} {
		t.Run(name, func(t *testing.T) {
			dir := smallDisk(t, "4m")
			s := artifacttest.NewServer(t)
			s.Replace("a", pattern(size))
			_, err := artifact.GetFile(t.Context(), s.Open(t), "a", filepath.Join(dir, "file"), "")
			wantDiskFull(t, err, dir)
		})
	}
}

// TestDiskThatFillsUp: there was room when the download began.
func TestDiskThatFillsUp(t *testing.T) {
	dir := smallDisk(t, "100m")
	s := artifacttest.NewServer(t)
	s.Replace("a", pattern(several))
	var ranges atomic.Int64
	s.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		if isRange(r) && ranges.Add(1) == 2 {
			if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 60*mib), 0o600); err != nil && !strings.Contains(err.Error(), "no space") {
				t.Error(err)
			}
		}
		return false
	})
	_, err := artifact.GetFile(t.Context(), s.Open(t), "a", filepath.Join(dir, "file"), "")
	wantDiskFull(t, err, dir)
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.GetFile(t.Context(), s.Open(t), "a", filepath.Join(dir, "file"), ""); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestTreeOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, "50m")
	s := artifacttest.NewServer(t)
	local := filepath.Dir(writeFile(t, pattern(several)))
	ref, err := artifact.PutTree(t.Context(), s.Open(t), local, "models/m")
	if err != nil {
		t.Fatal(err)
	}
	wantDiskFull(t, artifact.GetTree(t.Context(), s.Open(t), ref, filepath.Join(dir, "tree")), dir)
}

// An archive that the disk has no room for is not damaged.
func TestUnpackOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, "4m")
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zip)
	content := pattern(10 * mib)
	err := archive.WriteHeader(&tar.Header{Name: "model.bin", Mode: 0o644, Size: int64(len(content))})
	if err == nil {
		_, err = archive.Write(content)
	}
	if err := errors.Join(err, archive.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	wantDiskFull(t, artifact.Unpack(&packed, filepath.Join(dir, "code")), dir)
}
