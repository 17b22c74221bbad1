package activities

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// checkpointBench is a training's checkpoints in a store and on its host.
type checkpointBench struct {
	*testing.T
	store *counted
	dir   string
}

// counted counts the puts of each key.
type counted struct {
	*artifact.Memory
	first chan struct{} // closed after the first
	once  sync.Once
	mu    sync.Mutex
	puts  map[string]int
	fail  string // key whose put fails
}

func (c *counted) Put(ctx context.Context, key string, r io.Reader, size int64, o artifact.PutOptions) (artifact.Info, error) {
	return c.count(key, func() (artifact.Info, error) { return c.Memory.Put(ctx, key, r, size, o) })
}

func (c *counted) Upload(ctx context.Context, key string, r io.ReaderAt, size int64, o artifact.PutOptions) (artifact.Info, error) {
	return c.count(key, func() (artifact.Info, error) { return c.Memory.Upload(ctx, key, r, size, o) })
}

func (c *counted) count(key string, put func() (artifact.Info, error)) (artifact.Info, error) {
	if key == c.fail {
		<-c.first // so that something was stored
		return artifact.Info{}, errors.New("the store is away")
	}
	info, err := put()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.puts[key]++
		c.once.Do(func() { close(c.first) })
	}
	return info, err
}

func newCheckpointBench(t *testing.T) *checkpointBench {
	return &checkpointBench{t, &counted{Memory: artifact.NewMemory("mainspring"), puts: map[string]int{}, first: make(chan struct{})}, t.TempDir()}
}

func (b *checkpointBench) local(step int64, content string) string {
	b.Helper()
	path := filepath.Join(b.dir, stepName(step))
	for _, name := range []string{"weights", "optimizer"} {
		if err := errors.Join(os.MkdirAll(path, 0o700), os.WriteFile(filepath.Join(path, name), []byte(content+name), 0o600)); err != nil {
			b.Fatal(err)
		}
	}
	return path
}

func (b *checkpointBench) stored(steps ...int64) {
	b.Helper()
	for _, step := range steps {
		if _, err := artifact.PutTree(b.Context(), b.store.Memory, b.local(step, "right "), "checkpoints/k/"+stepName(step)); err != nil {
			b.Fatal(err)
		}
	}
}

func (b *checkpointBench) damage(key, content string) {
	b.Helper()
	b.store.Rot("checkpoints/k/"+key, []byte(content))
}

func (b *checkpointBench) find() models.Checkpoint {
	b.Helper()
	found, err := (&Checkpoints{Store: b.store.Memory}).FindCheckpoint(b.Context(), models.FindCheckpointRequest{RunKey: "k"})
	if err != nil {
		b.Fatal(err)
	}
	return found
}

func TestDamagedCheckpointsAreSkippedAndTold(t *testing.T) {
	b := newCheckpointBench(t)
	b.stored(1, 2, 3, 4, 5)
	b.damage("step-5/weights", "wrong weights")   // of the right size
	b.damage("step-4.json", `{"format":1,"files`) // half a manifest
	b.damage("step-3/weights", "short")
	if err := b.store.Delete(t.Context(), "checkpoints/k/step-2.json"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from the notes, without reading what is damaged
		found := b.find()
		if found.Step != 1 || len(found.Skipped) != 4 || found.At.IsZero() {
			t.Fatalf("got %+v", found)
		}
		for i, want := range []string{"step 5: damaged: ", "step 4: damaged: its manifest", "step 3: damaged: weights has 5 bytes", "step 2: incomplete: "} {
			if !strings.HasPrefix(found.Skipped[i], want) {
				t.Errorf("got %q, want %q", found.Skipped[i], want)
			}
		}
	}
}

func TestDamagedCheckpointIsStoredAnewByTheSameSteps(t *testing.T) {
	b := newCheckpointBench(t)
	b.stored(4, 5)
	b.damage("step-5/weights", "wrong weights") // with the metadata of the right ones
	if found := b.find(); found.Step != 4 {
		t.Fatalf("got %+v", found)
	}
	u := &checkpointUploader{store: b.store.Memory, prefix: "checkpoints/k/", dir: b.dir, resumed: 4}
	if err := u.upload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := b.find(); found.Step != 5 || found.Skipped != nil {
		t.Errorf("got %+v; want the step that was stored anew", found)
	}
}

func TestInterruptedUploadIsTakenUp(t *testing.T) {
	b := newCheckpointBench(t)
	b.local(7, "right ")
	const weights, optimizer = "checkpoints/k/step-7/weights", "checkpoints/k/step-7/optimizer"
	b.store.fail = weights
	upload := func() error { // by an agent that knows of none before it
		return (&checkpointUploader{store: b.store, prefix: "checkpoints/k/", dir: b.dir}).upload(t.Context())
	}
	if err := upload(); err == nil {
		t.Fatal("the upload did not fail")
	}
	if found := b.find(); found.Step != 0 || len(found.Skipped) != 1 {
		t.Errorf("got %+v; half a checkpoint must not be resumed from", found)
	}
	b.store.fail = ""
	for range 2 {
		if err := upload(); err != nil {
			t.Fatal(err)
		}
	}
	if want := map[string]int{weights: 1, optimizer: 1, "checkpoints/k/step-7.json": 1}; !cmp.Equal(want, b.store.puts) {
		t.Error(cmp.Diff(want, b.store.puts))
	}
	if found := b.find(); found.Step != 7 {
		t.Errorf("got %+v", found)
	}
}

func TestKeptSteps(t *testing.T) {
	hundreds := []int64{50, 100, 150, 200, 250, 300, 350}
	for name, c := range map[string]struct {
		keep    models.CheckpointKeep
		resumed int64
		want    []int64
	}{
		"the default":              {models.CheckpointKeep{}, 0, []int64{250, 300, 350}},
		"one":                      {models.CheckpointKeep{Last: 1}, 0, []int64{350}},
		"more than there are":      {models.CheckpointKeep{Last: 9}, 0, hundreds},
		"one and what was resumed": {models.CheckpointKeep{Last: 1}, 200, []int64{200, 350}},
		"resumed one that is gone": {models.CheckpointKeep{Last: 1}, 10, []int64{350}},
		"first of each hundred":    {models.CheckpointKeep{Last: 1, Every: 100}, 0, []int64{50, 100, 200, 300, 350}},
		"first of each thousand":   {models.CheckpointKeep{Last: 2, Every: 1000}, 0, []int64{50, 300, 350}},
	} {
		if diff := cmp.Diff(c.want, keptSteps(hundreds, c.keep, c.resumed)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestKeepRuleCountsCompleteCheckpointsOnly(t *testing.T) {
	b := newCheckpointBench(t)
	b.stored(1, 2, 3, 4)
	for _, step := range []string{"3", "4"} {
		if err := b.store.Delete(t.Context(), "checkpoints/k/step-"+step+".json"); err != nil {
			t.Fatal(err)
		}
	}
	b.local(5, "right ")
	u := &checkpointUploader{store: b.store.Memory, prefix: "checkpoints/k/", dir: b.dir, keep: models.CheckpointKeep{Last: 2}}
	if err := u.upload(t.Context()); err != nil {
		t.Fatal(err)
	}
	listed, err := listCheckpoints(t.Context(), b.store.Memory, u.prefix)
	if err != nil || len(listed) != 2 || listed[0].step != 2 || listed[1].step != 5 {
		t.Errorf("got %+v, %v; want steps 2 and 5, and no debris", listed, err)
	}
}
