package artifacttest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	ok(t, os.MkdirAll(filepath.Dir(path), 0o755))
	ok(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// contents lists a directory as "path=content", hidden left-overs included.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	ok(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		relative, _ := filepath.Rel(dir, path) // both come from the same walk
		all = append(all, relative+"="+string(b))
		return err
	}))
	return strings.Join(all, " ")
}

func testFiles(t *testing.T, s suite) {
	dir := t.TempDir()
	large := strings.Repeat("0123456789abcdef", 18<<20/16) // several parts
	for name, content := range map[string]string{"small": "hello", "empty": "", "large": large} {
		ref, err := artifact.PutFile(s.ctx, s.s, s.key(name), write(t, dir, name, content))
		ok(t, err)
		equal(t, "reference", ref, models.Ref{URI: artifact.URI(s.s, s.key(name)),
			SHA256: artifact.Digest([]byte(content)), Size: int64(len(content))})
		out := filepath.Join(dir, "out", name)
		got, err := artifact.GetFile(s.ctx, s.s, s.key(name), out, ref.SHA256)
		ok(t, err)
		equal(t, "fetched reference", got, ref)
		ok(t, artifact.GetRef(s.ctx, s.s, ref, out))
		b, err := os.ReadFile(out)
		ok(t, err)
		equal(t, "fetched content", string(b) == content, true)
	}
	target := write(t, dir, "kept/file", "old")
	wrong := artifact.Digest([]byte("something else"))
	_, err := artifact.GetFile(s.ctx, s.s, s.key("small"), target, wrong)
	wantClass(t, err, artifact.ErrCorrupt)
	_, err = artifact.ReadRef(s.ctx, s.s, models.Ref{URI: artifact.URI(s.s, s.key("small")), SHA256: wrong}, 100)
	wantClass(t, err, artifact.ErrCorrupt)
	_, err = artifact.GetFile(s.ctx, s.s, s.key("none"), target, "")
	wantClass(t, err, artifact.ErrNotFound)
	equal(t, "directory after failures", contents(t, filepath.Join(dir, "kept")), "file=old")
	_, err = artifact.PutFile(s.ctx, s.s, s.key("nofile"), filepath.Join(dir, "nofile"))
	wantClass(t, err, os.ErrNotExist)
}

func testContentAddressed(t *testing.T, s suite) {
	content := "unique content of " + s.prefix
	ref, err := artifact.PutObject(s.ctx, s.s, strings.NewReader(content))
	ok(t, err)
	equal(t, "URI", ref.URI, artifact.URI(s.s, "objects/"+artifact.Digest([]byte(content))))
	before, err := s.s.Stat(s.ctx, artifact.ObjectKey(ref.SHA256))
	ok(t, err)
	again, err := artifact.PutObjectBytes(s.ctx, s.s, []byte(content))
	ok(t, err)
	equal(t, "reference of the bytes", again, ref)
	again, err = artifact.PutObjectFile(s.ctx, s.s, write(t, t.TempDir(), "f", content))
	ok(t, err)
	equal(t, "reference of the file", again, ref)
	after, err := s.s.Stat(s.ctx, artifact.ObjectKey(ref.SHA256))
	ok(t, err)
	equal(t, "time of writing", after.Modified, before.Modified)
	b, err := artifact.ReadRef(s.ctx, s.s, ref, 1000)
	ok(t, err)
	equal(t, "content", string(b), content)
	ok(t, s.s.Delete(s.ctx, artifact.ObjectKey(ref.SHA256)))
}

func testTree(t *testing.T, s suite) {
	dir := t.TempDir()
	write(t, dir, "MLmodel", "flavors")
	write(t, dir, "data/weights.bin", strings.Repeat("w", 1000))
	write(t, dir, ".hidden", "h")
	ok(t, os.Symlink("MLmodel", filepath.Join(dir, "link")))
	want := contents(t, dir)
	ref, err := artifact.PutTree(s.ctx, s.s, dir, s.key("step-1"))
	ok(t, err)
	equal(t, "URI", ref.URI, artifact.URI(s.s, s.key("step-1.json")))
	found, err := artifact.FindTree(s.ctx, s.s, s.key("step-1"))
	ok(t, err)
	equal(t, "found tree", found, ref)
	manifest, err := artifact.ReadTree(s.ctx, s.s, ref)
	ok(t, err)
	var paths []string
	for _, f := range manifest.Files {
		paths = append(paths, f.Path)
	}
	equal(t, "paths", strings.Join(paths, " "), ".hidden MLmodel data/weights.bin link")

	out := t.TempDir()
	write(t, out, "there/old", "stale")
	for _, name := range []string{"new/deep", "there", "there"} {
		ok(t, artifact.GetTree(s.ctx, s.s, ref, filepath.Join(out, name)))
		equal(t, "fetched tree", contents(t, filepath.Join(out, name)), want)
	}
	write(t, out, "there/MLmodel", "changed")
	ok(t, artifact.GetTree(s.ctx, s.s, ref, filepath.Join(out, "there")))
	equal(t, "repaired tree", contents(t, filepath.Join(out, "there")), want)
	left, err := filepath.Glob(filepath.Join(out, ".*"))
	ok(t, err)
	equal(t, "left-overs", len(left), 0)

	_, err = artifact.PutTree(s.ctx, s.s, t.TempDir(), s.key("empty"))
	wantClass(t, err, artifact.ErrInvalid)
}

func testTreeReplaced(t *testing.T, s suite) {
	dir := t.TempDir()
	write(t, dir, "a", "1")
	first, err := artifact.PutTree(s.ctx, s.s, dir, s.key("tree"))
	ok(t, err)
	before, err := s.s.Stat(s.ctx, s.key("tree/a"))
	ok(t, err)
	again, err := artifact.PutTree(s.ctx, s.s, dir, s.key("tree"))
	ok(t, err)
	equal(t, "second reference", again, first)
	after, err := s.s.Stat(s.ctx, s.key("tree/a"))
	ok(t, err)
	equal(t, "time of the file", after.Modified, before.Modified)

	write(t, dir, "a", "22")
	second, err := artifact.PutTree(s.ctx, s.s, dir, s.key("tree"))
	ok(t, err)
	out := filepath.Join(t.TempDir(), "out")
	ok(t, artifact.GetTree(s.ctx, s.s, second, out))
	equal(t, "new tree", contents(t, out), "a=22")
	wantClass(t, artifact.GetTree(s.ctx, s.s, first, out), artifact.ErrCorrupt)
	equal(t, "tree after a failure", contents(t, out), "a=22")
}

func testTreeDamaged(t *testing.T, s suite) {
	dir := t.TempDir()
	write(t, dir, "a", "1")
	write(t, dir, "b", "2")
	ref, err := artifact.PutTree(s.ctx, s.s, dir, s.key("tree"))
	ok(t, err)
	out := filepath.Join(t.TempDir(), "out")
	s.put(t, "tree/b", "X")
	wantClass(t, artifact.GetTree(s.ctx, s.s, ref, out), artifact.ErrCorrupt)
	ok(t, s.s.Delete(s.ctx, s.key("tree/b")))
	wantClass(t, artifact.GetTree(s.ctx, s.s, ref, out), artifact.ErrNotFound)
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a damaged tree left %s (%v)", out, err)
	}
	evil := `{"format":1,"files":[{"path":"../evil","sha256":"","size":0}]}`
	for name, content := range map[string]string{"evil": evil, "newer": `{"format":2}`, "nonsense": `[`} {
		s.put(t, name+".json", content)
		_, err := artifact.FindTree(s.ctx, s.s, s.key(name))
		wantClass(t, err, artifact.ErrCorrupt)
	}
}

func testSources(t *testing.T, s suite) {
	for _, name := range []string{"data/2013-02.parquet", "data/2013-01.parquet", "data2/x", "data/sub/y"} {
		s.put(t, name, name)
	}
	list := func(uri string) string {
		found, err := artifact.ListURI(s.ctx, s.s, uri)
		ok(t, err)
		var names []string
		for _, f := range found {
			names = append(names, strings.TrimPrefix(f.URI, artifact.URI(s.s, s.prefix)))
			r, opened, err := artifact.OpenURI(s.ctx, s.s, f.URI)
			ok(t, err)
			ok(t, r.Close())
			equal(t, "opened source", opened, f)
		}
		return strings.Join(names, " ")
	}
	const data = "/data/2013-01.parquet /data/2013-02.parquet /data/sub/y"
	equal(t, "with slash", list(artifact.URI(s.s, s.key("data/"))), data)
	equal(t, "without slash", list(artifact.URI(s.s, s.key("data"))), data)
	equal(t, "one object", list(artifact.URI(s.s, s.key("data2/x"))), "/data2/x")
	for _, none := range []string{artifact.URI(s.s, s.key("nothing")), "file://" + t.TempDir(), "file:///no/such/path"} {
		_, err := artifact.ListURI(s.ctx, s.s, none)
		wantClass(t, err, artifact.ErrNotFound)
	}
	for _, bad := range []string{"http://x/y", "/plain/path", "file://host/x", "s3:///key", "s3://B/key"} {
		_, _, err := artifact.OpenURI(s.ctx, s.s, bad)
		wantClass(t, err, artifact.ErrInvalid)
	}
}
