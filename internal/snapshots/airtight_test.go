package snapshots

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// A made-up snapshot is some texts, each a file.
type made struct {
	manifest []byte
	sha      string
	files    map[string][]byte // by digest
}

func makeSnapshot(texts ...string) made {
	m := models.SnapshotManifest{Format: 1}
	s := made{files: map[string][]byte{}}
	for i, text := range texts {
		digest := artifact.Digest([]byte(text))
		s.files[digest] = []byte(text)
		m.Files = append(m.Files, models.SnapshotFile{Path: fmt.Sprintf("train/%d.parquet", i), Rows: 1,
			Ref: models.Ref{SHA256: digest, Size: int64(len(text))}})
	}
	raw, digest, err := dataset.Encode(m)
	if err != nil {
		panic(err)
	}
	s.manifest, s.sha = raw, digest
	return s
}

// later is how far a collection's clock is ahead of the objects' times: so no
// object is young enough to be safe, and only the order of calls protects it.
const later = 48 * time.Hour

func catalogAt(store artifact.Store, ahead time.Duration) Catalog {
	return Catalog{Store: store, Now: func() time.Time { return time.Now().Add(ahead) }, Parallel: 1}
}

func use(workflow string, retention time.Duration) models.SnapshotUse {
	at := time.Now().UTC()
	if workflow == "lifecycle/old" {
		at = at.Add(-time.Hour)
	}
	return models.SnapshotUse{Model: "flight-delay", Workflow: workflow, Run: "run", At: at, Retention: models.Duration(retention)}
}

// prepare does what a preparation does: files that are there already are not
// written again, because its clock says that they are fresh.
func prepare(ctx context.Context, c Catalog, s made, u models.SnapshotUse) error {
	for _, digest := range Files(mustDecode(s.manifest)) {
		if _, err := c.PutObject(ctx, s.files[digest]); err != nil {
			return err
		}
	}
	_, err := c.Publish(ctx, Publication{Manifest: s.manifest, Use: u})
	return err
}

func mustDecode(raw []byte) models.SnapshotManifest {
	m, err := dataset.Decode(raw)
	if err != nil {
		panic(err)
	}
	return m
}

func collect(ctx context.Context, c Catalog) (Report, error) {
	g := &Collector{Catalog: c, Rules: Rules{Grace: 24 * time.Hour}, Delete: true, Host: "test",
		Needed: func(context.Context, []Item) (Needs, error) { return Needs{}, nil }}
	return g.Run(ctx)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// whole fails if a manifest can be seen that names a file which is not there.
func whole(store artifact.Store, all ...made) error {
	ctx := context.Background()
	for _, s := range all {
		if _, err := store.Stat(ctx, ManifestKey(s.sha)); err != nil {
			continue
		}
		if err := (Catalog{Store: store, Parallel: 1}).present(ctx, Files(mustDecode(s.manifest))); err != nil {
			return fmt.Errorf("a manifest is visible: %w", err)
		}
	}
	return nil
}

// kept fails unless a snapshot is complete, live, and in that use.
func kept(store artifact.Store, s made, u models.SnapshotUse) error {
	ctx := context.Background()
	c := Catalog{Store: store, Parallel: 1}
	if manifest, err := c.manifest(ctx, s.sha); manifest == nil {
		return fmt.Errorf("the snapshot of %s has no manifest: %w", u.Workflow, err)
	}
	if err := whole(store, s); err != nil {
		return err
	}
	if _, err := store.Stat(ctx, UseKey(s.sha, u.Workflow, u.Run)); err != nil {
		return fmt.Errorf("the use by %s is gone: %w", u.Workflow, err)
	}
	if found, err := c.state(ctx, s.sha); err != nil || found.Phase == Deleting {
		return fmt.Errorf("the snapshot of %s is %s: %w", u.Workflow, found.Phase, err)
	}
	return nil
}

// scene is the moment at which two programs meet.
type scene struct {
	name  string
	setUp func(ctx context.Context, store artifact.Store)
	// act is the other program beside the collection; ok: it counts on want.
	act  func(ctx context.Context, c Catalog) (ok bool, err error)
	want made
	// clock of the other program: how far it is ahead.
	ahead time.Duration
	all   []made
	// again lets the collection be followed by one a grace later.
	again bool
}

// condemned makes a snapshot that no collection spares any more.
func condemned(ctx context.Context, store artifact.Store, s made) {
	must(prepare(ctx, catalogAt(store, 0), s, use("lifecycle/old", time.Hour)))
	found, err := (Catalog{Store: store}).state(ctx, s.sha)
	must(err)
	_, err = catalogAt(store, 0).move(ctx, s.sha, found, Condemned, found.Files)
	must(err)
}

func scenes() []scene {
	s, sharing := makeSnapshot("a", "b"), makeSnapshot("b", "c")
	newUse := use("lifecycle/new", 30*24*time.Hour)
	reuse := func(ctx context.Context, c Catalog) (bool, error) {
		_, ok, err := c.Reuse(ctx, s.sha, newUse)
		return ok, err
	}
	publish := func(what made) func(context.Context, Catalog) (bool, error) {
		return func(ctx context.Context, c Catalog) (bool, error) {
			err := prepare(ctx, c, what, newUse)
			if errors.Is(err, ErrFilesMissing) || errors.Is(err, errDeleting) {
				return false, nil // to be tried again
			}
			return err == nil, err
		}
	}
	isCondemned := func(ctx context.Context, store artifact.Store) { condemned(ctx, store, s) }
	isExpired := func(ctx context.Context, store artifact.Store) {
		must(prepare(ctx, catalogAt(store, 0), s, use("lifecycle/old", time.Hour)))
	}
	isOrphan := func(ctx context.Context, store artifact.Store) {
		part := []byte(`{"files":[{"path":"train/1.parquet","uri":"","sha256":"` + artifact.Digest([]byte("b")) + `"}]}`)
		_, err := artifact.PutBytes(ctx, store, PreparationPrefix(strings.Repeat("0", 64))+"parts/1.json", part, artifact.PutOptions{})
		must(err)
		_, err = catalogAt(store, 0).PutObject(ctx, []byte("b"))
		must(err)
	}
	covering := makeSnapshot("a", "b", "c")
	isCovered := func(ctx context.Context, store artifact.Store) {
		condemned(ctx, store, s)
		must(prepare(ctx, catalogAt(store, 0), covering, use("lifecycle/other", 0)))
	}
	both := []made{s, sharing, covering}
	return []scene{
		{"a condemned snapshot is reused", isCondemned, reuse, s, later, both, false},
		{"a condemned snapshot is prepared again", isCondemned, publish(s), s, later, both, false},
		{"a condemned snapshot is prepared again by a slow clock", isCondemned, publish(s), s, 0, both, false},
		{"a snapshot that shares a file is prepared", isCondemned, publish(sharing), sharing, 0, both, false},
		{"an expired snapshot is reused", isExpired, reuse, s, 0, both, false},
		{"an expired snapshot is prepared again", isExpired, publish(s), s, 0, both, false},
		{"a file that a dead preparation left is used", isOrphan, publish(sharing), sharing, 0, both, false},
		{"a condemned snapshot is reused, all of whose files stay", isCovered, reuse, s, later, both, false},
		{"an expired snapshot is reused between two collections", isExpired, reuse, s, 0, both, true},
		{"an expired snapshot is prepared between two collections", isExpired, publish(s), s, 0, both, true},
	}
}

func TestCollectionBesideOthers(t *testing.T) {
	for _, sc := range scenes() {
		t.Run(sc.name, func(t *testing.T) {
			if sc.again && testing.Short() {
				t.Skip("thousands of orders")
			}
			won, lost := 0, 0
			n := interleave(t, 200000, func() world { return sc.world(&won, &lost) })
			t.Logf("%d orders; the other one had the snapshot in %d and was told to try again in %d", n, won, lost)
			if won == 0 {
				t.Error("the other one never had the snapshot: the story is wrong")
			}
		})
	}
}

func (sc scene) world(won, lost *int) world {
	ctx := context.Background()
	store := artifact.NewMemory("data")
	sc.setUp(ctx, store)
	newUse := use("lifecycle/new", 30*24*time.Hour)
	var has bool
	var failed error
	w := world{store: store}
	w.programs[0] = func(gated artifact.Store) {
		if _, err := collect(ctx, catalogAt(gated, later)); err != nil {
			failed = fmt.Errorf("gc: %w", err)
		}
		if !sc.again {
			return
		}
		if _, err := collect(ctx, catalogAt(gated, 2*later)); err != nil {
			failed = fmt.Errorf("the second gc: %w", err)
		}
	}
	w.programs[1] = func(gated artifact.Store) {
		ok, err := sc.act(ctx, catalogAt(gated, sc.ahead))
		if err != nil {
			failed = fmt.Errorf("the other one: %w", err)
		}
		has = ok
	}
	w.always = func() error {
		if has {
			if err := kept(store, sc.want, newUse); err != nil {
				return err
			}
		}
		return errors.Join(failed, whole(store, sc.all...))
	}
	w.finally = func() error {
		if has {
			*won++
		} else {
			*lost++
			// What was told to try again succeeds when it does.
			if err := prepare(ctx, catalogAt(store, later), sc.want, newUse); err != nil {
				return fmt.Errorf("the next try: %w", err)
			}
		}
		// Neither the next collection nor the one after a grace takes it away.
		for _, at := range []time.Duration{later, 2 * later, 3 * later} {
			if _, err := collect(ctx, catalogAt(store, at)); err != nil {
				return err
			}
			if err := kept(store, sc.want, newUse); err != nil {
				return fmt.Errorf("after the collection of %s later: %w", at, err)
			}
		}
		return nil
	}
	return w
}

// TestKilledCollection kills a collection before each of its writes, and lets the
// next one meet a preparation in every order.
func TestKilledCollection(t *testing.T) {
	ctx := context.Background()
	s, sharing := scenes()[0].want, scenes()[3].want
	writes, orders := 0, 0
	for ended := false; !ended; writes++ {
		killed := func(ctx context.Context, store artifact.Store) {
			condemned(ctx, store, s)
			left := writes
			_, err := collect(ctx, catalogAt(mortal{store, &left}, later-Lease))
			ended = err == nil
			if err := whole(store, s, sharing); err != nil {
				t.Fatalf("killed before write %d: %v", writes+1, err)
			}
		}
		met := []int{1, 3} // the same snapshot, and one that shares a file
		if testing.Short() {
			met = nil // thousands of orders
		}
		for _, i := range met {
			sc := scene{act: scenes()[i].act, want: scenes()[i].want, ahead: later, all: []made{s, sharing}, setUp: killed}
			won, lost := 0, 0
			orders += interleave(t, 200000, func() world { return sc.world(&won, &lost) })
		}
		// Without anybody else the next collection finishes.
		store := artifact.NewMemory("data")
		killed(ctx, store)
		if _, err := collect(ctx, catalogAt(store, later)); err != nil {
			t.Fatalf("killed before write %d: the next collection: %v", writes+1, err)
		}
		if rest := keysOf(t, store); !slices.Equal(rest, []string{IntentKey}) {
			t.Fatalf("killed before write %d: the next collection has left %q", writes+1, rest)
		}
	}
	t.Logf("killed before each of %d writes, %d orders", writes, orders)
	if writes < 9 {
		t.Errorf("only %d writes: the story is wrong", writes)
	}
}

func keysOf(t *testing.T, store artifact.Store) []string {
	t.Helper()
	there, err := store.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, info := range there {
		keys = append(keys, info.Key)
	}
	return keys
}
