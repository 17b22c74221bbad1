package artifact_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

func fill(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

func pack(t *testing.T, dir string) artifact.Archive {
	t.Helper()
	a, err := artifact.PackDir(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func names(t *testing.T, archive []byte) []string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h.Name)
	}
}

func wantNames(t *testing.T, archive []byte, want ...string) {
	t.Helper()
	if got := names(t, archive); !slices.Equal(got, want) {
		t.Errorf("the archive has %q; want %q", got, want)
	}
}

func TestPackRoundTrip(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, map[string]string{"train.py": "print()", "lib/a.py": "a", "run.sh": "#!/bin/sh", "empty": ""})
	if err := errors.Join(os.Chmod(filepath.Join(dir, "run.sh"), 0o700), os.Symlink("lib/a.py", filepath.Join(dir, "link.py"))); err != nil {
		t.Fatal(err)
	}
	a := pack(t, dir)
	wantNames(t, a.Bytes, "empty", "lib/a.py", "link.py", "run.sh", "train.py")
	if a.SHA256 != artifact.Digest(a.Bytes) || a.Files != 5 {
		t.Errorf("digest %s, %d files", a.SHA256, a.Files)
	}
	out := filepath.Join(t.TempDir(), "new", "code")
	for range 2 { // the second time over the first
		if err := artifact.Unpack(bytes.NewReader(a.Bytes), out); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"train.py": "print()", "lib/a.py": "a", "link.py": "a", "empty": ""} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q (%v); want %q", name, got, err, want)
		}
	}
	script, err := os.Stat(filepath.Join(out, "run.sh"))
	if err != nil || script.Mode().Perm()&0o100 == 0 {
		t.Errorf("run.sh lost its executable bit: %v %v", script, err)
	}
	if again := pack(t, out); again.SHA256 != a.SHA256 {
		t.Errorf("packing what was unpacked gives %s; want %s", again.SHA256, a.SHA256)
	}
}

func TestPackIsDeterministic(t *testing.T) {
	files := map[string]string{"b": "2", "a": "1", "d/c": "3"}
	one, two := t.TempDir(), t.TempDir()
	fill(t, one, files)
	fill(t, two, files)
	old := time.Unix(1e9, 0)
	if err := errors.Join(os.Chtimes(filepath.Join(two, "a"), old, old), os.Chmod(filepath.Join(two, "b"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if a, b := pack(t, one), pack(t, two); a.SHA256 != b.SHA256 {
		t.Errorf("equal files gave %s and %s", a.SHA256, b.SHA256)
	}
	fill(t, two, map[string]string{"a": "changed"})
	if a, b := pack(t, one), pack(t, two); a.SHA256 == b.SHA256 {
		t.Error("different files gave the same digest")
	}
}

func TestPackIgnores(t *testing.T) {
	repository := t.TempDir()
	fill(t, repository, map[string]string{
		".git/HEAD":                "ref",
		".gitignore":               "*.pt\n/code/build/\n# comment\n\n!keep.pt\n",
		"outside.py":               "not packed",
		"code/train.py":            "t",
		"code/model.pt":            "ignored by the repository",
		"code/keep.pt":             "kept by the repository",
		"code/build/x":             "ignored by the repository",
		"code/sub/.gitignore":      "*.log\n/only-here\n",
		"code/sub/a.log":           "ignored here",
		"code/sub/only-here":       "ignored here",
		"code/sub/b.py":            "b",
		"code/a.log":               "kept: the rule is below",
		"code/only-here":           "kept: the rule is below",
		"code/.venv/bin/python":    "always left out",
		"code/lib/__pycache__/a.c": "always left out",
		"code/lib/.git/HEAD":       "always left out",
		"code/.hidden":             "kept",
	})
	a := pack(t, filepath.Join(repository, "code"))
	wantNames(t, a.Bytes, ".hidden", "a.log", "keep.pt", "only-here", "sub/.gitignore", "sub/b.py", "train.py")
	agreeWithGit(t, repository)
}

// agreeWithGit compares with git itself, where there is one.
func agreeWithGit(t *testing.T, repository string) {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Log("git is not installed: not compared with it")
		return
	}
	if err := os.RemoveAll(filepath.Join(repository, ".git")); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) []string {
		cmd := exec.CommandContext(t.Context(), git, append([]string{"-C", filepath.Join(repository, "code")}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	run("init", "-q", repository)
	want := slices.DeleteFunc(run("ls-files", "--others", "--exclude-standard"), func(name string) bool {
		return strings.Contains(name, ".git/") || strings.Contains(name, "__pycache__") || strings.Contains(name, ".venv")
	})
	slices.Sort(want)
	wantNames(t, pack(t, filepath.Join(repository, "code")).Bytes, want...)
}

func TestPackRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	fill(t, filepath.Dir(outside), map[string]string{"secret": "x"})
	tests := []struct {
		name, want string
		class      error
		prepare    func(dir string) error
	}{
		{"link out", "leaves the directory", artifact.ErrInvalid, func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "l")) }},
		{"link up", "leaves the directory", artifact.ErrInvalid, func(dir string) error { return os.Symlink("../..", filepath.Join(dir, "l")) }},
		{"dangling", "leads nowhere", artifact.ErrInvalid, func(dir string) error { return os.Symlink("none", filepath.Join(dir, "l")) }},
		{"link to directory", "not a regular file", artifact.ErrInvalid, func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "d"), 0o755), os.Symlink("d", filepath.Join(dir, "l")))
		}},
		{"too large", "big (0.1 MiB)", artifact.ErrTooLarge, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "big"), make([]byte, 100_000), 0o600)
		}},
		{"no directory", "no such file", os.ErrNotExist, os.RemoveAll},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, map[string]string{"small": "s"})
			if err := tt.prepare(dir); err != nil {
				t.Fatal(err)
			}
			_, err := artifact.PackDir(dir, 50_000)
			if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v; want class %q, saying %q", err, tt.class, tt.want)
			}
		})
	}
	dir := t.TempDir()
	fill(t, dir, map[string]string{".gitignore": "l\n", "a": "a"})
	if err := os.Symlink(outside, filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	wantNames(t, pack(t, dir).Bytes, ".gitignore", "a")
}

func TestUnpackRefuses(t *testing.T) {
	tests := map[string]tar.Header{
		"up":       {Name: "../evil", Typeflag: tar.TypeReg},
		"deep up":  {Name: "a/../../evil", Typeflag: tar.TypeReg},
		"absolute": {Name: "/evil", Typeflag: tar.TypeReg},
		"link":     {Name: "evil", Typeflag: tar.TypeSymlink, Linkname: "/etc"},
		"hardlink": {Name: "evil", Typeflag: tar.TypeLink, Linkname: "good"},
		"device":   {Name: "evil", Typeflag: tar.TypeFifo},
		"twice":    {Name: "good", Typeflag: tar.TypeReg},
	}
	for name, header := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			zip := gzip.NewWriter(&out)
			archive := tar.NewWriter(zip)
			err := errors.Join(archive.WriteHeader(&tar.Header{Name: "good", Typeflag: tar.TypeReg}),
				archive.WriteHeader(&header), archive.Close(), zip.Close())
			if err != nil {
				t.Fatal(err)
			}
			parent := t.TempDir()
			fill(t, parent, map[string]string{"dir/old": "kept"})
			err = artifact.Unpack(&out, filepath.Join(parent, "dir"))
			if !errors.Is(err, artifact.ErrCorrupt) {
				t.Errorf("error %v; want corrupt", err)
			}
			var left []string
			walked := filepath.WalkDir(parent, func(path string, _ os.DirEntry, err error) error {
				left = append(left, strings.TrimPrefix(path, parent))
				return err
			})
			if walked != nil || strings.Join(left, " ") != " /dir /dir/old" {
				t.Errorf("left behind: %q (%v)", left, walked)
			}
		})
	}
	if err := artifact.Unpack(strings.NewReader("no archive"), filepath.Join(t.TempDir(), "d")); !errors.Is(err, artifact.ErrCorrupt) {
		t.Errorf("error %v; want corrupt", err)
	}
}

func TestLocalSources(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space")
	fill(t, dir, map[string]string{"b.parquet": "22", "a/x.parquet": "1", ".hidden": "h"})
	store := artifact.NewMemory("bucket")
	found, err := artifact.ListURI(t.Context(), store, artifact.FileURI(dir))
	if err != nil || len(found) != 2 || found[0].URI != artifact.FileURI(filepath.Join(dir, "a/x.parquet")) || found[1].Size != 2 {
		t.Fatalf("found %+v, error %v", found, err)
	}
	r, source, err := artifact.OpenURI(t.Context(), store, found[1].URI)
	if err != nil || source != found[1] {
		t.Fatalf("opened %+v, error %v; want %+v", source, err, found[1])
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil || string(b) != "22" {
		t.Errorf("content %q, error %v", b, err)
	}
	fill(t, dir, map[string]string{"b.parquet": "333"})
	if _, changed, err := artifact.OpenURI(t.Context(), store, found[1].URI); err != nil || changed.ETag == source.ETag {
		t.Errorf("a changed file kept its ETag %s (%v)", changed.ETag, err)
	}
	if _, _, err := artifact.OpenURI(t.Context(), store, artifact.FileURI(dir)); err == nil {
		t.Error("a directory was opened as a file")
	}
}
