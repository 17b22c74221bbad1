package artifacttest

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// random are bytes that compare unequal when a part is missing, twice there or
// in another's place.
func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b) // never fails
	return b
}

// large is several parts and ranges, the last of them short.
const large = 41<<20 + 12345

func testWrongDigest(t *testing.T, s suite) {
	wrong := artifact.PutOptions{SHA256: artifact.Digest([]byte("something else"))}
	_, err := s.s.Put(s.ctx, s.key("wrong"), strings.NewReader("content"), 7, wrong)
	wantClass(t, err, artifact.ErrCorrupt)
	for _, size := range []int{7, large} {
		_, err = s.s.Upload(s.ctx, s.key("wrong"), bytes.NewReader(random(size)), int64(size), wrong)
		wantClass(t, err, artifact.ErrChanged)
	}
	_, err = s.s.Stat(s.ctx, s.key("wrong"))
	wantClass(t, err, artifact.ErrNotFound)
}

func testUpload(t *testing.T, s suite) {
	for _, size := range []int{0, 1, 8 << 20, 32 << 20, 32<<20 + 1, large} {
		content := random(size)
		digest := artifact.Digest(content)
		for _, o := range []artifact.PutOptions{{}, {SHA256: digest}} {
			put, err := s.s.Upload(s.ctx, s.key("up"), bytes.NewReader(content), int64(size), o)
			ok(t, err)
			equal(t, "digest", put.SHA256, digest)
			equal(t, "size", put.Size, int64(size))
			there, err := s.s.Stat(s.ctx, s.key("up"))
			ok(t, err)
			equal(t, "ETag", there.ETag, put.ETag)
			equal(t, "content", s.get(t, "up") == string(content), true)
		}
	}
	addressed := s.key(artifact.Digest(random(large)))
	_, err := s.s.Upload(s.ctx, addressed, bytes.NewReader(random(large)), large, artifact.PutOptions{SHA256: artifact.Digest(random(large))})
	ok(t, err)
	there, err := s.s.Stat(s.ctx, addressed)
	ok(t, err)
	equal(t, "digest as metadata", there.SHA256, artifact.Digest(random(large)))
}

func testUploadIf(t *testing.T, s suite) {
	for _, size := range []int{100, large} {
		content := random(size)
		up := func(o artifact.PutOptions) (artifact.Info, error) {
			return s.s.Upload(s.ctx, s.key("if"), bytes.NewReader(content), int64(size), o)
		}
		_, err := up(artifact.PutOptions{IfMatch: "0123"})
		wantClass(t, err, artifact.ErrPreconditionFailed)
		first, err := up(artifact.PutOptions{IfAbsent: true})
		ok(t, err)
		_, err = up(artifact.PutOptions{IfAbsent: true})
		wantClass(t, err, artifact.ErrPreconditionFailed)
		content[0]++
		second, err := up(artifact.PutOptions{IfMatch: first.ETag})
		ok(t, err)
		content[0]++
		_, err = up(artifact.PutOptions{IfMatch: first.ETag})
		wantClass(t, err, artifact.ErrPreconditionFailed)
		there, err := s.s.Stat(s.ctx, s.key("if"))
		ok(t, err)
		equal(t, "ETag", there.ETag, second.ETag)
		ok(t, s.s.Delete(s.ctx, s.key("if")))
	}
}

// changing is a file that is written to while it is read.
type changing struct {
	*bytes.Reader
	reads int
}

func (c *changing) ReadAt(b []byte, offset int64) (int, error) {
	c.reads++
	return c.Reader.ReadAt(b, offset)
}

func (c *changing) Unchanged() error {
	if c.reads == 0 {
		return nil // asked too early
	}
	return &artifact.Error{Op: "read", URI: "file", Class: artifact.ErrChanged}
}

func testUploadChanged(t *testing.T, s suite) {
	for _, size := range []int{10, large} {
		_, err := s.s.Upload(s.ctx, s.key("file"), &changing{Reader: bytes.NewReader(random(size))}, int64(size), artifact.PutOptions{})
		wantClass(t, err, artifact.ErrChanged)
		_, err = s.s.Upload(s.ctx, s.key("file"), bytes.NewReader(random(size-1)), int64(size), artifact.PutOptions{})
		wantClass(t, err, artifact.ErrChanged) // it has become shorter
		_, err = s.s.Stat(s.ctx, s.key("file"))
		wantClass(t, err, artifact.ErrNotFound)
	}
}

// testLargeTree has what a tree of small and large files needs.
func testLargeTree(t *testing.T, s suite) {
	dir := t.TempDir()
	write(t, dir, "weights/a", string(random(large)))
	write(t, dir, "weights/b", string(random(large+1)))
	for i := range 40 {
		write(t, dir, "small/"+strings.Repeat("x", i+1), strings.Repeat("y", i))
	}
	ref, err := artifact.PutTree(s.ctx, s.s, dir, s.key("tree"))
	ok(t, err)
	before, err := s.s.Stat(s.ctx, s.key("tree/weights/a"))
	ok(t, err)
	// as after a crash between the last file and the manifest
	ok(t, s.s.Delete(s.ctx, s.key("tree.json")))
	again, err := artifact.PutTree(s.ctx, s.s, dir, s.key("tree"))
	ok(t, err)
	equal(t, "reference", again, ref)
	after, err := s.s.Stat(s.ctx, s.key("tree/weights/a"))
	ok(t, err)
	equal(t, "time of the large file", after.Modified, before.Modified)
	out := filepath.Join(t.TempDir(), "out")
	ok(t, artifact.GetTree(s.ctx, s.s, ref, out))
	equal(t, "fetched tree", contents(t, out) == contents(t, dir), true)
	manifest, err := artifact.ReadTree(s.ctx, s.s, ref)
	ok(t, err)
	ok(t, artifact.VerifyTree(s.ctx, s.s, s.key("tree"), manifest))
}
