// Package artifacttest has the behavioural suite that every artifact.Store
// passes: the one in memory and real S3 servers.
package artifacttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// Run holds a store against what package artifact promises. Every test works
// below a prefix of its own, so the bucket may be shared and need not be empty.
func Run(t *testing.T, open func(testing.TB) artifact.Store) {
	tests := []struct {
		name string
		test func(*testing.T, suite)
	}{
		{"PutGet", testPutGet},
		{"Missing", testMissing},
		{"Range", testRange},
		{"RangeOfReplaced", testRangeOfReplaced},
		{"IfAbsent", testIfAbsent},
		{"IfMatch", testIfMatch},
		{"IfAbsentRace", testIfAbsentRace},
		{"IfMatchRace", testIfMatchRace},
		{"LargeConditional", testLargeConditional},
		{"List", testList},
		{"Delete", testDelete},
		{"Keys", testKeys},
		{"ShortReader", testShortReader},
		{"NestedKeys", testNestedKeys},
		{"Cancelled", testCancelled},
		{"Limit", testLimit},
		{"Buckets", testBuckets},
		{"WrongDigest", testWrongDigest},
		{"Upload", testUpload},
		{"UploadIf", testUploadIf},
		{"UploadChanged", testUploadChanged},
		{"Files", testFiles},
		{"ContentAddressed", testContentAddressed},
		{"Tree", testTree},
		{"LargeTree", testLargeTree},
		{"TreeReplaced", testTreeReplaced},
		{"TreeDamaged", testTreeDamaged},
		{"Sources", testSources},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			t.Cleanup(cancel)
			b := make([]byte, 8)
			_, _ = rand.Read(b) // never fails
			tt.test(t, suite{ctx: ctx, s: open(t), prefix: "suite/" + hex.EncodeToString(b)})
		})
	}
}

type suite struct {
	ctx    context.Context
	s      artifact.Store
	prefix string
}

func (s suite) key(name string) string { return s.prefix + "/" + name }

func (s suite) put(t *testing.T, name, content string) artifact.Info {
	t.Helper()
	info, err := artifact.PutBytes(s.ctx, s.s, s.key(name), []byte(content), artifact.PutOptions{})
	ok(t, err)
	return info
}

func (s suite) get(t *testing.T, name string) string {
	t.Helper()
	b, _, err := artifact.GetBytes(s.ctx, s.s, s.key(name), 64<<20)
	ok(t, err)
	return string(b)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantClass(t *testing.T, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("error %v; want one of class %q", err, class)
	}
	var rich *artifact.Error
	if !errors.As(err, &rich) || rich.Op == "" || rich.URI == "" {
		t.Fatalf("error %v lacks its operation or URI", err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v; want %v", what, got, want)
	}
}

func testPutGet(t *testing.T, s suite) {
	for _, content := range []string{"", "hello", strings.Repeat("x", 1<<20)} {
		put := s.put(t, "a/b.txt", content)
		equal(t, "content", s.get(t, "a/b.txt"), content)
		got, err := s.s.Stat(s.ctx, s.key("a/b.txt"))
		ok(t, err)
		equal(t, "size", got.Size, int64(len(content)))
		equal(t, "ETag", got.ETag, put.ETag)
		equal(t, "digest", got.SHA256, artifact.Digest([]byte(content)))
		if got.ETag == "" || strings.Contains(got.ETag, `"`) || got.Modified.IsZero() {
			t.Errorf("ETag %q, modified %v", got.ETag, got.Modified)
		}
	}
}

func testMissing(t *testing.T, s suite) {
	_, _, err := s.s.Get(s.ctx, s.key("none"))
	wantClass(t, err, artifact.ErrNotFound)
	_, err = s.s.Stat(s.ctx, s.key("none"))
	wantClass(t, err, artifact.ErrNotFound)
	found, err := s.s.List(s.ctx, s.key("none"))
	ok(t, err)
	equal(t, "listed", len(found), 0)
	_, err = artifact.FindTree(s.ctx, s.s, s.key("none"))
	wantClass(t, err, artifact.ErrNotFound)
}

func (s suite) putIf(name, content string, o artifact.PutOptions) (artifact.Info, error) {
	return artifact.PutBytes(s.ctx, s.s, s.key(name), []byte(content), o)
}

func testIfAbsent(t *testing.T, s suite) {
	_, err := s.putIf("once", "first", artifact.PutOptions{IfAbsent: true})
	ok(t, err)
	_, err = s.putIf("once", "second", artifact.PutOptions{IfAbsent: true})
	wantClass(t, err, artifact.ErrPreconditionFailed)
	equal(t, "content", s.get(t, "once"), "first")
}

func testIfMatch(t *testing.T, s suite) {
	first := s.put(t, "route", "generation 1")
	second, err := s.putIf("route", "generation 2", artifact.PutOptions{IfMatch: first.ETag})
	ok(t, err)
	_, err = s.putIf("route", "generation 2b", artifact.PutOptions{IfMatch: first.ETag})
	wantClass(t, err, artifact.ErrPreconditionFailed)
	_, err = s.putIf("route", "generation 3", artifact.PutOptions{IfMatch: second.ETag})
	ok(t, err)
	equal(t, "content", s.get(t, "route"), "generation 3")
	_, err = s.putIf("none", "x", artifact.PutOptions{IfMatch: first.ETag})
	wantClass(t, err, artifact.ErrPreconditionFailed)
	_, err = s.putIf("route", "x", artifact.PutOptions{IfMatch: first.ETag, IfAbsent: true})
	wantClass(t, err, artifact.ErrInvalid)
}

// race returns how many of sixteen racing puts won; the others must have
// failed their precondition.
func (s suite) race(t *testing.T, name string, o artifact.PutOptions) (winners int, content string) {
	t.Helper()
	errs := make([]error, 16)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() { _, errs[i] = s.putIf(name, fmt.Sprint("writer ", i), o) })
	}
	group.Wait()
	for i, err := range errs {
		if err == nil {
			winners, content = winners+1, fmt.Sprint("writer ", i)
			continue
		}
		wantClass(t, err, artifact.ErrPreconditionFailed)
	}
	return winners, content
}

func testIfAbsentRace(t *testing.T, s suite) {
	winners, content := s.race(t, "raced", artifact.PutOptions{IfAbsent: true})
	equal(t, "winners", winners, 1)
	equal(t, "content", s.get(t, "raced"), content)
}

func testIfMatchRace(t *testing.T, s suite) {
	start := s.put(t, "raced", "start")
	winners, content := s.race(t, "raced", artifact.PutOptions{IfMatch: start.ETag})
	equal(t, "winners", winners, 1)
	equal(t, "content", s.get(t, "raced"), content)
}

// testLargeConditional is above the size at which uploads are split, which
// must not lose the condition.
func testLargeConditional(t *testing.T, s suite) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 18<<20/16)
	_, err := artifact.PutBytes(s.ctx, s.s, s.key("large"), large, artifact.PutOptions{IfAbsent: true})
	ok(t, err)
	large[0] = 'X'
	_, err = artifact.PutBytes(s.ctx, s.s, s.key("large"), large, artifact.PutOptions{IfAbsent: true})
	wantClass(t, err, artifact.ErrPreconditionFailed)
	_, err = artifact.PutBytes(s.ctx, s.s, s.key("large"), large, artifact.PutOptions{})
	ok(t, err)
	equal(t, "digest", artifact.Digest([]byte(s.get(t, "large"))), artifact.Digest(large))
	_, err = artifact.PutBytes(s.ctx, s.s, s.key("large"), large, artifact.PutOptions{IfAbsent: true})
	wantClass(t, err, artifact.ErrPreconditionFailed)
}

func testList(t *testing.T, s suite) {
	for _, name := range []string{"l/b", "l/a", "l/c/d", "l2", "l/c.x"} {
		s.put(t, name, name)
	}
	list := func(prefix string) string {
		found, err := s.s.List(s.ctx, s.key(prefix))
		ok(t, err)
		var names []string
		for _, f := range found {
			names = append(names, strings.TrimPrefix(f.Key, s.prefix+"/"))
			equal(t, "size", f.Size, int64(len(strings.TrimPrefix(f.Key, s.prefix+"/"))))
			if f.ETag == "" {
				t.Errorf("%s is listed without an ETag", f.Key)
			}
		}
		return strings.Join(names, " ")
	}
	equal(t, "list", list("l/"), "l/a l/b l/c.x l/c/d")
	equal(t, "list of a name's prefix", list("l"), "l/a l/b l/c.x l/c/d l2")
	equal(t, "list below", list("l/c/"), "l/c/d")
	for i := range 1100 { // more than one page
		s.put(t, fmt.Sprintf("many/%04d", i), "x")
	}
	found, err := s.s.List(s.ctx, s.key("many/"))
	ok(t, err)
	equal(t, "number", len(found), 1100)
	equal(t, "last", found[1099].Key, s.key("many/1099"))
}

func testDelete(t *testing.T, s suite) {
	s.put(t, "gone", "x")
	ok(t, s.s.Delete(s.ctx, s.key("gone")))
	ok(t, s.s.Delete(s.ctx, s.key("gone")))
	_, err := s.s.Stat(s.ctx, s.key("gone"))
	wantClass(t, err, artifact.ErrNotFound)
	_, err = s.putIf("gone", "y", artifact.PutOptions{IfAbsent: true})
	ok(t, err)
}

func testKeys(t *testing.T, s suite) {
	for _, key := range []string{"", "/a", "a/", "a//b", "../a", "a/../b", ".", `a\b`, "a\x00", strings.Repeat("k", 1025)} {
		_, err := s.s.Put(s.ctx, key, strings.NewReader("x"), 1, artifact.PutOptions{})
		wantClass(t, err, artifact.ErrInvalid)
		_, _, err = s.s.Get(s.ctx, key)
		wantClass(t, err, artifact.ErrInvalid)
		_, err = s.s.Stat(s.ctx, key)
		wantClass(t, err, artifact.ErrInvalid)
		wantClass(t, s.s.Delete(s.ctx, key), artifact.ErrInvalid)
	}
	for _, name := range []string{"with space", "dt=2013-07-01/x.parquet", "ünïcode", "a+b&c?d#e%f"} {
		s.put(t, name, name)
		equal(t, "content", s.get(t, name), name)
	}
}

func testShortReader(t *testing.T, s suite) {
	_, err := s.s.Put(s.ctx, s.key("short"), strings.NewReader("abc"), 5, artifact.PutOptions{})
	if err == nil {
		t.Fatal("three bytes were taken for five")
	}
	_, err = s.s.Stat(s.ctx, s.key("short"))
	wantClass(t, err, artifact.ErrNotFound)
	_, err = s.s.Put(s.ctx, s.key("short"), strings.NewReader("abc"), -1, artifact.PutOptions{})
	wantClass(t, err, artifact.ErrInvalid)
}

// testNestedKeys: a store may hold "a" beside "a/b" or refuse the second one,
// but it must say which.
func testNestedKeys(t *testing.T, s suite) {
	for _, order := range [][2]string{{"n1/a", "n1/a/b"}, {"n2/a/b", "n2/a"}} {
		s.put(t, order[0], "first")
		if _, err := s.putIf(order[1], "second", artifact.PutOptions{}); err != nil {
			wantClass(t, err, artifact.ErrConflict)
		} else {
			equal(t, "content", s.get(t, order[1]), "second")
		}
		equal(t, "content", s.get(t, order[0]), "first")
	}
}

// testCancelled: a caller who gave up learns that, and not that the store is
// unavailable.
func testCancelled(t *testing.T, s suite) {
	s.put(t, "there", "x")
	cancelled, cancel := context.WithCancel(s.ctx)
	cancel()
	expired, cancel := context.WithDeadline(s.ctx, time.Unix(0, 0))
	defer cancel()
	for _, ctx := range []context.Context{cancelled, expired} {
		_, putErr := artifact.PutBytes(ctx, s.s, s.key("x"), []byte("x"), artifact.PutOptions{})
		_, _, getErr := s.s.Get(ctx, s.key("there"))
		_, statErr := s.s.Stat(ctx, s.key("there"))
		_, listErr := s.s.List(ctx, s.prefix)
		for _, err := range []error{putErr, getErr, statErr, listErr, s.s.Delete(ctx, s.key("there"))} {
			wantClass(t, err, ctx.Err())
			if errors.Is(err, artifact.ErrUnavailable) {
				t.Errorf("error %v blames the store", err)
			}
		}
	}
}

func testLimit(t *testing.T, s suite) {
	s.put(t, "ten", "0123456789")
	_, _, err := artifact.GetBytes(s.ctx, s.s, s.key("ten"), 9)
	wantClass(t, err, artifact.ErrTooLarge)
	b, _, err := artifact.GetBytes(s.ctx, s.s, s.key("ten"), 10)
	ok(t, err)
	equal(t, "content", string(b), "0123456789")
}

func testBuckets(t *testing.T, s suite) {
	s.put(t, "x", "here")
	same := s.s.InBucket(s.s.Bucket())
	r, _, err := same.Get(s.ctx, s.key("x"))
	ok(t, err)
	b, err := io.ReadAll(r)
	ok(t, errors.Join(err, r.Close()))
	equal(t, "content", string(b), "here")
	equal(t, "URI", artifact.URI(same, "a/b"), "s3://"+s.s.Bucket()+"/a/b")
	_, err = s.s.InBucket("no-such-bucket-here").Stat(s.ctx, s.key("x"))
	wantClass(t, err, artifact.ErrNotFound)
}
