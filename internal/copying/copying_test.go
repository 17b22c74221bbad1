package copying_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/copying"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// clouds is two stores, and what reaches both.
type clouds struct {
	home, far *artifact.Memory
	both      *artifact.Stores
}

func newClouds() clouds {
	c := clouds{home: artifact.NewMemory("home"), far: artifact.NewMemory("far")}
	c.both = artifact.NewStores(c.home, artifact.Routed{Prefix: "s3://far/", Store: c.far})
	return c
}

func noise(t testing.TB, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return b
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// snapshot stores one with files of these sizes and returns its manifest's URI.
func snapshot(t testing.TB, s artifact.Store, root string, sizes ...int) string {
	t.Helper()
	put := func(key string, b []byte) models.Ref {
		must[artifact.Info](t)(artifact.PutBytes(t.Context(), s, root+key, b, artifact.PutOptions{}))
		return models.Ref{SHA256: artifact.Digest(b), Size: int64(len(b))}
	}
	m := models.SnapshotManifest{Format: 1}
	for i, size := range sizes {
		b := noise(t, size)
		m.Files = append(m.Files, models.SnapshotFile{Path: []string{"train/", "test/"}[i%2] + string(rune('a'+i)) + ".parquet", Ref: put(dataset.ObjectKey(artifact.Digest(b)), b)})
	}
	profile := noise(t, 100)
	m.Profile = put(dataset.ObjectKey(artifact.Digest(profile)), profile)
	encoded, digest, err := dataset.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	put("snapshots/"+digest+"/report.json", []byte("{}"))
	put("snapshots/"+digest+"/uses/1.json", []byte("{}"))
	put(dataset.ManifestKey(digest), encoded)
	return artifact.URI(s, root+dataset.ManifestKey(digest))
}

func objects(t testing.TB, s artifact.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, i := range must[[]artifact.Info](t)(s.List(t.Context(), "")) {
		b, _, err := artifact.GetBytes(t.Context(), s, i.Key, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		all[i.Key] = artifact.Digest(b)
	}
	return all
}

func run(t testing.TB, c copying.Copier, plan copying.Plan) (*copying.Progress, error) {
	t.Helper()
	var p copying.Progress
	return &p, c.Run(t.Context(), plan, &p)
}

func TestASnapshotIsTheSameElsewhere(t *testing.T) {
	c := newClouds()
	uri := snapshot(t, c.home, "", 1000, 2000, 9<<20)
	plan := must[copying.Plan](t)(copying.At(t.Context(), c.both, uri))
	to := must[copying.Destination](t)(copying.Open(c.both, "s3://far/archive/2013/"))
	copier := copying.Copier{Source: c.both, To: to}
	missing := must[[]copying.Item](t)(copier.Missing(t.Context(), plan))
	if len(missing) != 4 || len(objects(t, c.far)) != 0 {
		t.Fatalf("a dry run finds %d missing and wrote %v", len(missing), objects(t, c.far))
	}
	p, err := run(t, copier, plan)
	if err != nil || p.Objects.Load() != 6 || p.SkippedObjects.Load() != 0 {
		t.Fatalf("%d objects, %d skipped, %v", p.Objects.Load(), p.SkippedObjects.Load(), err)
	}
	want := map[string]string{}
	for key, digest := range objects(t, c.home) {
		if !strings.Contains(key, "/uses/") { // who uses it is a matter of each store
			want["archive/2013/"+key] = digest
		}
	}
	if got := objects(t, c.far); !maps.Equal(got, want) {
		t.Fatalf("copied %v\nwant %v", got, want)
	}
	// Whoever reads it below its new root finds its files.
	_, digest, _ := dataset.SplitManifestURI(uri)
	copied := "s3://far/archive/2013/" + dataset.ManifestKey(digest)
	again := must[copying.Plan](t)(copying.Snapshot(t.Context(), c.both, copied))
	for _, item := range again.Items {
		if item.From != dataset.FileURI(copied, item.SHA256) {
			t.Errorf("a file is read from %s, and looked for at %s", item.From, dataset.FileURI(copied, item.SHA256))
		}
	}
	p, err = run(t, copier, plan)
	if err != nil || p.Objects.Load() != 0 || p.SkippedObjects.Load() != 6 {
		t.Fatalf("the second run: %d objects, %d skipped, %v", p.Objects.Load(), p.SkippedObjects.Load(), err)
	}
	// And back, by way of this host's disk.
	dir := filepath.Join(t.TempDir(), "a b%20c")
	for _, hop := range [][2]string{{copied, artifact.FileURI(dir)}, {artifact.FileURI(filepath.Join(dir, "snapshots", digest)), "s3://far/back/"}} {
		plan := must[copying.Plan](t)(copying.At(t.Context(), c.both, hop[0]))
		to := must[copying.Destination](t)(copying.Open(c.both, hop[1]))
		for _, sent := range []int64{6, 0} {
			if p, err := run(t, copying.Copier{Source: c.both, To: to}, plan); err != nil || p.Objects.Load() != sent {
				t.Fatalf("%v: %d objects, %v", hop, p.Objects.Load(), err)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	for key, digest := range want {
		if got := objects(t, c.far)["back/"+strings.TrimPrefix(key, "archive/2013/")]; got != digest {
			t.Errorf("%s came back as %q", key, got)
		}
	}
}

// ordered notes the order in which objects appear.
type ordered struct {
	artifact.Store
	mu   sync.Mutex
	keys []string
}

func (o *ordered) InBucket(string) artifact.Store { return o }

func (o *ordered) Put(ctx context.Context, key string, r io.Reader, size int64, options artifact.PutOptions) (artifact.Info, error) {
	info, err := o.Store.Put(ctx, key, r, size, options)
	if err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.keys = append(o.keys, key)
	}
	return info, err
}

func TestManifestsComeLast(t *testing.T) {
	c := newClouds()
	snapshot(t, c.home, "warehouse/", 10, 20, 30)
	dir := t.TempDir()
	for _, name := range []string{"model.onnx", "MLmodel"} {
		if err := os.WriteFile(filepath.Join(dir, name), noise(t, 50), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must[models.Ref](t)(artifact.PutTree(t.Context(), c.home, dir, "warehouse/runs/1/model"))
	for _, source := range []string{"s3://home/warehouse/", "s3://home/warehouse/runs/1/model", "s3://home/warehouse/runs/1/model.json"} {
		far := &ordered{Store: artifact.NewMemory("far")}
		plan := must[copying.Plan](t)(copying.At(t.Context(), c.home, source))
		to := must[copying.Destination](t)(copying.Open(far, "s3://far/x/"))
		if _, err := run(t, copying.Copier{Source: c.home, To: to}, plan); err != nil {
			t.Fatal(err)
		}
		isManifest := func(key string) bool {
			return strings.HasSuffix(key, "manifest.json") || strings.HasSuffix(key, "model.json")
		}
		first := slices.IndexFunc(far.keys, isManifest)
		if first < 0 || slices.ContainsFunc(far.keys[first:], func(key string) bool { return !isManifest(key) }) {
			t.Errorf("%s: the objects appeared in the order %v", source, far.keys)
		}
	}
}

func TestACorruptedObjectIsFound(t *testing.T) {
	for name, size := range map[string]int{"small": 1000, "large": 9 << 20} {
		c := newClouds()
		uri := snapshot(t, c.home, "", 10, size, 20)
		plan := must[copying.Plan](t)(copying.At(t.Context(), c.both, uri))
		i := slices.IndexFunc(plan.Items, func(i copying.Item) bool { return i.Size == int64(size) })
		bad := plan.Items[i]
		content := noise(t, size) // as many other bytes
		must[artifact.Info](t)(c.home.Put(t.Context(), bad.Key, bytes.NewReader(content), int64(size), artifact.PutOptions{}))
		for _, place := range []string{"s3://far/x/", artifact.FileURI(t.TempDir())} {
			to := must[copying.Destination](t)(copying.Open(c.both, place))
			_, err := run(t, copying.Copier{Source: c.both, To: to}, plan)
			if !errors.Is(err, artifact.ErrCorrupt) || !strings.Contains(err.Error(), bad.From) {
				t.Errorf("%s to %s: error %v; want one that names %s", name, place, err, bad.From)
			}
			for _, s := range plan.Seals {
				if _, err := to.Read(t.Context(), s.Key, 1<<20); !errors.Is(err, artifact.ErrNotFound) {
					t.Errorf("%s to %s: %s was written, %v", name, place, s.Key, err)
				}
			}
			if _, err := to.Read(t.Context(), bad.Key, 1<<30); !errors.Is(err, artifact.ErrNotFound) {
				t.Errorf("%s to %s: the bad object is shown, %v", name, place, err)
			}
		}
	}
}

func TestADamagedManifestIsFound(t *testing.T) {
	c := newClouds()
	uri := snapshot(t, c.home, "", 10)
	_, digest, _ := dataset.SplitManifestURI(uri)
	must[artifact.Info](t)(artifact.PutBytes(t.Context(), c.home, dataset.ManifestKey(digest), []byte(`{"format":1}`), artifact.PutOptions{}))
	if _, err := copying.At(t.Context(), c.both, uri); !errors.Is(err, artifact.ErrCorrupt) || !strings.Contains(err.Error(), uri) {
		t.Errorf("error %v", err)
	}
}

func TestAnotherTreeIsNotReplaced(t *testing.T) {
	c := newClouds()
	dir := t.TempDir()
	var refs []models.Ref
	for _, text := range []string{"one", "two"} {
		if err := os.WriteFile(filepath.Join(dir, "m"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, must[models.Ref](t)(artifact.PutTree(t.Context(), c.home, dir, "runs/"+text+"/model")))
	}
	to := must[copying.Destination](t)(copying.Open(c.both, "s3://far/"))
	version := func(i int) models.ModelVersion {
		return models.ModelVersion{Version: "3", RegisteredAt: time.Date(2013, 3, 1, 6, 0, 0, 0, time.UTC),
			Candidate: models.Candidate{RunID: "r", Snapshot: "s", Artifact: models.ModelArtifact{Manifest: refs[i]}}}
	}
	plan := must[copying.Plan](t)(copying.Version(t.Context(), c.both, "delay", version(0)))
	if _, err := run(t, copying.Copier{Source: c.both, To: to}, plan); err != nil {
		t.Fatal(err)
	}
	before := objects(t, c.far)
	if keys := slices.Sorted(maps.Keys(before)); !slices.Equal(keys, []string{"delay/3.json", "delay/3.provenance.json", "delay/3/m"}) {
		t.Errorf("copied %v", keys)
	}
	told, _, err := artifact.GetBytes(t.Context(), c.far, "delay/3.provenance.json", 1<<20)
	if err != nil || !strings.Contains(string(told), `"sha256": "`+refs[0].SHA256+`"`) || !strings.Contains(string(told), `"from": "s3://home/runs/one/model.json"`) {
		t.Errorf("provenance %s, %v", told, err)
	}
	if tree := must[models.Ref](t)(artifact.FindTree(t.Context(), c.far, "delay/3")); tree.SHA256 != refs[0].SHA256 {
		t.Errorf("the copied tree has the digest %s; want %s", tree.SHA256, refs[0].SHA256)
	}
	plan = must[copying.Plan](t)(copying.Version(t.Context(), c.both, "delay", version(1)))
	if _, err := run(t, copying.Copier{Source: c.both, To: to}, plan); !errors.Is(err, artifact.ErrPreconditionFailed) || !strings.Contains(err.Error(), "s3://far/delay/3.json") {
		t.Errorf("error %v", err)
	}
	if !maps.Equal(before, objects(t, c.far)) {
		t.Error("something was changed")
	}
}

func TestSnapshotsAreFoundByTheirFirstDigits(t *testing.T) {
	c := newClouds()
	uri := snapshot(t, c.home, "", 10)
	_, digest, _ := dataset.SplitManifestURI(uri)
	if got := must[string](t)(copying.FindSnapshot(t.Context(), c.both, digest[:8])); got != uri {
		t.Errorf("found %s; want %s", got, uri)
	}
	if _, err := copying.FindSnapshot(t.Context(), c.both, "ffffffffffff"); err == nil || !strings.Contains(err.Error(), "s3://home/ has no snapshot") {
		t.Errorf("error %v", err)
	}
	must[artifact.Info](t)(artifact.PutBytes(t.Context(), c.home, dataset.ManifestKey(digest[:63]+"0"), nil, artifact.PutOptions{}))
	must[artifact.Info](t)(artifact.PutBytes(t.Context(), c.home, dataset.ManifestKey(digest[:63]+"1"), nil, artifact.PutOptions{}))
	if _, err := copying.FindSnapshot(t.Context(), c.both, digest[:8]); err == nil || !strings.Contains(err.Error(), "write more of it") {
		t.Errorf("error %v", err)
	}
}

func TestBadDestinations(t *testing.T) {
	c := newClouds()
	for uri, want := range map[string]string{
		"s3://far/x":     "with a slash at its end: s3://far/x/",
		"relative/dir":   "write s3://bucket/prefix/ or file:///absolute/directory/",
		"file://other/x": "write s3://bucket/prefix/ or file:///absolute/directory/",
		"gs://far/x/":    "write s3://bucket/prefix/ or file:///absolute/directory/",
	} {
		if _, err := copying.Open(c.both, uri); !errors.Is(err, artifact.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; want %q", uri, err, want)
		}
	}
}

// However a directory's URI is written, its files keep their paths below it.
func TestFilesKeepTheirPaths(t *testing.T) {
	dir := t.TempDir() + "/my flights"
	for _, name := range []string{"2013/01.csv", "2014/01.csv"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(name), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, uri := range []string{artifact.FileURI(dir), "file://" + dir + "/", "file://localhost" + dir + "/", "file:///" + dir + "/./"} {
		c := newClouds()
		to := must[copying.Destination](t)(copying.Open(c.both, "s3://far/"))
		if _, err := run(t, copying.Copier{Source: c.both, To: to}, must[copying.Plan](t)(copying.At(t.Context(), c.both, uri))); err != nil {
			t.Fatal(err)
		}
		got := objects(t, c.far)
		if want := map[string]string{"2013/01.csv": artifact.Digest([]byte("2013/01.csv")), "2014/01.csv": artifact.Digest([]byte("2014/01.csv"))}; !maps.Equal(got, want) {
			t.Errorf("%s became %v; want %v", uri, got, want)
		}
	}
}

func TestAnObjectThatChangesIsNotCopied(t *testing.T) {
	c := newClouds()
	must[artifact.Info](t)(artifact.PutBytes(t.Context(), c.home, "data/a.csv", []byte("one"), artifact.PutOptions{}))
	plan := must[copying.Plan](t)(copying.At(t.Context(), c.both, "s3://home/data/"))
	must[artifact.Info](t)(artifact.PutBytes(t.Context(), c.home, "data/a.csv", []byte("two"), artifact.PutOptions{}))
	to := must[copying.Destination](t)(copying.Open(c.both, "s3://far/"))
	if _, err := run(t, copying.Copier{Source: c.both, To: to}, plan); !errors.Is(err, artifact.ErrCorrupt) || !strings.Contains(err.Error(), "s3://home/data/a.csv") {
		t.Errorf("error %v", err)
	}
	if len(objects(t, c.far)) > 0 {
		t.Error("something was copied")
	}
}

// collecting is a store in which a collection takes a file away, once, when the
// copy claims the snapshot.
type collecting struct {
	artifact.Store
	taken bool
}

func (c *collecting) InBucket(string) artifact.Store { return c }

func (c *collecting) Put(ctx context.Context, key string, r io.Reader, size int64, options artifact.PutOptions) (artifact.Info, error) {
	if strings.HasSuffix(key, "/state.json") && !c.taken {
		c.taken = true
		there, err := c.List(ctx, "objects/")
		if err != nil || len(there) == 0 {
			return artifact.Info{}, errors.Join(errors.New("there is nothing to take away"), err)
		}
		if err := c.Delete(ctx, there[0].Key); err != nil {
			return artifact.Info{}, err
		}
	}
	return c.Store.Put(ctx, key, r, size, options)
}

func TestACollectionTakesNothingFromACopy(t *testing.T) {
	home, far := artifact.NewMemory("home"), artifact.NewMemory("far")
	uri := snapshot(t, home, "", 10, 20, 30)
	plan := must[copying.Plan](t)(copying.At(t.Context(), home, uri))
	to := must[copying.Destination](t)(copying.Open(&collecting{Store: far}, "s3://far/"))
	for _, sent := range []int64{7, 0} { // one of the six twice
		p, err := run(t, copying.Copier{Source: home, To: to}, plan)
		if err != nil || p.Objects.Load() != sent {
			t.Fatalf("%d objects were sent, %v; want %d", p.Objects.Load(), err, sent)
		}
	}
	there := objects(t, far)
	for _, item := range plan.Items {
		if there[item.Key] != item.SHA256 {
			t.Errorf("%s is missing", item.Key)
		}
	}
	if _, ok := there[plan.Seals[len(plan.Seals)-1].Key]; !ok {
		t.Error("the manifest is missing")
	}
}
