package snapshots

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

func TestDecide(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	used := func(model string, when, retention time.Duration) models.SnapshotUse {
		return models.SnapshotUse{Model: model, Workflow: "lifecycle/" + model, Run: "r", At: ago(when), Retention: models.Duration(retention)}
	}
	item := func(phase Phase, since time.Duration, uses ...models.SnapshotUse) Item {
		return Item{Snapshot: "s", Manifest: &models.SnapshotManifest{}, Since: ago(since), Uses: uses,
			state: stored{State: State{Phase: phase, At: ago(since)}, etag: "x"}}
	}
	given := func(i Item, change func(*Item)) Item { change(&i); return i }
	version := map[string][]Keeper{"s": {{Kind: KeptByVersion, Name: "flight-delay/3"}}}
	tests := []struct {
		name string
		item Item
		kept map[string][]Keeper
		old  time.Duration // --older-than
		want Action
		says string
	}{
		{"its retention is over", item(Live, 9*day, used("a", 9*day, 7*day)), nil, 0, ActionCondemn, "retention is over"},
		{"its retention is not over", item(Live, 9*day, used("a", 6*day, 7*day)), nil, 0, ActionKeep, "retention of a until 2026-03-02 00:00"},
		{"the last use of a model counts", item(Live, 9*day, used("a", 9*day, 30*day), used("a", 8*day, day)), nil, 0, ActionCondemn, ""},
		{"each model's last use counts", item(Live, 9*day, used("a", 9*day, 30*day), used("b", 8*day, day)), nil, 0, ActionKeep, "retention of a"},
		{"no retention is for ever", item(Live, 900*day, used("a", 900*day, 0)), nil, 0, ActionKeep, "no retention is set in a"},
		{"older than says otherwise", item(Live, 900*day, used("a", 900*day, 0)), nil, 365 * day, ActionCondemn, ""},
		{"not older than", item(Live, 900*day, used("a", 90*day, 0)), nil, 365 * day, ActionKeep, "--older-than until"},
		{"older than is for those without a retention", item(Live, 90*day, used("a", 90*day, 300*day)), nil, day, ActionKeep, "retention of a"},
		{"a snapshot of an earlier version", given(item(Live, 90*day), func(i *Item) { i.state = stored{} }), nil, 0, ActionKeep, "no use is recorded"},
		{"an old one of an earlier version", given(item(Live, 90*day), func(i *Item) { i.state = stored{} }), nil, 30 * day, ActionCondemn, ""},
		{"touched lately", item(Live, time.Hour, used("a", 9*day, day)), nil, 0, ActionKeep, "less than 1d ago"},
		{"a version needs it", item(Live, 9*day, used("a", 9*day, day)), version, 0, ActionKeep, "flight-delay/3"},
		{"a version needs it again", item(Condemned, 9*day, used("a", 9*day, day)), version, 0, ActionRevive, ""},
		{"the grace is not over", item(Condemned, time.Hour, used("a", 9*day, day)), nil, 0, ActionWait, "deleted in 23h0m0s"},
		{"the grace is over", item(Condemned, 25*time.Hour, used("a", 9*day, day)), nil, 0, ActionDelete, ""},
		{"a deletion is finished whoever comes", item(Deleting, time.Hour, used("a", time.Hour, 0)), version, 0, ActionFinish, "cut off"},
		{"a preparation was given up", given(item(Live, 2*day, used("a", 2*day, 0)), func(i *Item) { i.Manifest = nil }), nil, 0, ActionCondemn, "given up"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Decide([]Item{tt.item}, tt.kept, Rules{Grace: day, OlderThan: tt.old}, now)[0]
			if got.Action != tt.want || !strings.Contains(got.Reason, tt.says) {
				t.Errorf("%s (%s); want %s (%s)", got.Action, got.Reason, tt.want, tt.says)
			}
		})
	}
}

// collectAt runs a collection at a moment, with what is needed then.
func collectAt(t *testing.T, store artifact.Store, at time.Duration, needs Needs) Report {
	t.Helper()
	g := &Collector{Catalog: catalogAt(store, at), Rules: Rules{Grace: 24 * time.Hour}, Delete: true,
		Needed: func(context.Context, []Item) (Needs, error) { return needs, nil }}
	report, err := g.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestSharedFilesStay(t *testing.T) {
	store := artifact.NewMemory("data")
	s, sharing := makeSnapshot("alone", "shared"), makeSnapshot("shared", "another")
	must(prepare(t.Context(), catalogAt(store, 0), s, use("lifecycle/old", time.Hour)))
	must(prepare(t.Context(), catalogAt(store, 0), sharing, use("lifecycle/new", 0)))
	if first := collectAt(t, store, later, Needs{}); first.Frees != 0 {
		t.Errorf("%d bytes were deleted at once", first.Frees)
	}
	report := collectAt(t, store, 2*later, Needs{})
	var gone Decision
	for _, d := range report.Snapshots {
		if d.Snapshot == s.sha {
			gone = d
		}
	}
	if gone.Action != ActionDelete || report.Frees != gone.Frees || gone.Frees < int64(len("alone")) {
		t.Errorf("%+v, %d bytes in all", gone, report.Frees)
	}
	must(kept(store, sharing, use("lifecycle/new", 0)))
	for digest, there := range map[string]bool{artifact.Digest([]byte("alone")): false, artifact.Digest([]byte("shared")): true} {
		if _, err := store.Stat(t.Context(), artifact.ObjectKey(digest)); (err == nil) != there {
			t.Errorf("%s is there: %t (%v); want %t", digest, !there, err, there)
		}
	}
}

func TestAnUnansweredQuestionDeletesNothing(t *testing.T) {
	store := artifact.NewMemory("data")
	s := makeSnapshot("a")
	condemned(t.Context(), store, s)
	before := keysOf(t, store)
	g := &Collector{Catalog: catalogAt(store, later), Rules: Rules{Grace: 24 * time.Hour}, Delete: true,
		Needed: func(context.Context, []Item) (Needs, error) { return Needs{}, errors.New("MLflow does not answer") }}
	if _, err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing is deleted: MLflow does not answer") {
		t.Errorf("the error is %v", err)
	}
	if after := keysOf(t, store); !reflect.DeepEqual(after, append([]string{IntentKey}, before...)) {
		t.Errorf("there is %q; want %q", after, before)
	}
}

// stuck is a store that deletes nothing of one snapshot.
type stuck struct {
	artifact.Store
	snapshot string
}

func (s stuck) Delete(ctx context.Context, key string) error {
	if strings.HasPrefix(key, Prefix+s.snapshot+"/") {
		return errors.New("access denied")
	}
	return s.Store.Delete(ctx, key)
}

func TestACollectionThatBreaksOffSaysHowFarItCame(t *testing.T) {
	store := artifact.NewMemory("data")
	all := []string{makeSnapshot("a").sha, makeSnapshot("b").sha}
	for _, text := range []string{"a", "b"} {
		condemned(t.Context(), store, makeSnapshot(text))
	}
	g := &Collector{Catalog: catalogAt(stuck{store, slices.Max(all)}, later), Rules: Rules{Grace: 24 * time.Hour}, Delete: true,
		Needed: func(context.Context, []Item) (Needs, error) { return Needs{}, nil }}
	report, err := g.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "access denied (1 were condemned, revived or deleted before it; the next collection goes on)") {
		t.Errorf("the error is %v", err)
	}
	if report.Frees == 0 {
		t.Error("nothing was freed")
	}
	collectAt(t, store, later, Needs{})
	if rest := keysOf(t, store); !reflect.DeepEqual(rest, []string{IntentKey}) {
		t.Errorf("%q is left", rest)
	}
}

// A file that was written lately may be about to be published by a preparation
// that has not said so yet.
func TestYoungFilesWait(t *testing.T) {
	store := artifact.NewMemory("data")
	s := makeSnapshot("young")
	must(prepare(t.Context(), catalogAt(store, 0), s, use("lifecycle/old", time.Hour)))
	found, err := (Catalog{Store: store}).state(t.Context(), s.sha)
	must(err)
	_, err = catalogAt(store, -2*later).move(t.Context(), s.sha, found, Condemned, found.Files)
	must(err)
	report := collectAt(t, store, time.Minute, Needs{})
	if d := report.Snapshots[0]; d.Action != ActionDelete || !strings.Contains(d.Reason, "1 of its files were written lately") {
		t.Errorf("%s: %s", d.Action, d.Reason)
	}
	if _, err := store.Stat(t.Context(), artifact.ObjectKey(artifact.Digest([]byte("young")))); err != nil {
		t.Errorf("the file went: %v", err)
	}
	if report := collectAt(t, store, later, Needs{}); report.Snapshots[0].Action != ActionFinish {
		t.Errorf("the next collection does %q", report.Snapshots[0].Action)
	}
	if rest := keysOf(t, store); !reflect.DeepEqual(rest, []string{IntentKey}) {
		t.Errorf("%q is left", rest)
	}
}

func TestAPlanChangesNothing(t *testing.T) {
	store := artifact.NewMemory("data")
	s := makeSnapshot("a")
	condemned(t.Context(), store, s)
	before := keysOf(t, store)
	g := &Collector{Catalog: catalogAt(store, later), Rules: Rules{Grace: 24 * time.Hour},
		Needed: func(context.Context, []Item) (Needs, error) { return Needs{}, nil }}
	report, err := g.Run(t.Context())
	must(err)
	if after := keysOf(t, store); !reflect.DeepEqual(after, before) || report.Deleted {
		t.Errorf("there is %q; want %q", after, before)
	}
	if planned := report.Frees; planned == 0 || planned != collectAt(t, store, later, Needs{}).Frees {
		t.Errorf("the plan says %d bytes, which is not what is deleted", planned)
	}
}

func TestLeftovers(t *testing.T) {
	ctx := t.Context()
	dead, alive, done := strings.Repeat("d", 64), strings.Repeat("a", 64), strings.Repeat("e", 64)
	store := artifact.NewMemory("data")
	s := makeSnapshot("kept")
	must(prepare(ctx, catalogAt(store, 0), s, use("lifecycle/new", 0)))
	refTo := func(text string) models.Ref {
		ref, err := catalogAt(store, 0).PutObject(ctx, []byte(text))
		must(err)
		return ref
	}
	put := func(key string, content any) {
		raw, err := json.Marshal(content)
		must(err)
		_, err = artifact.PutBytes(ctx, store, key, raw, artifact.PutOptions{})
		must(err)
	}
	part := func(text string) any {
		ref := refTo(text)
		ref.URI = ""
		return map[string]any{"files": []models.SnapshotFile{{Path: "train/x", Ref: ref}}}
	}
	put(PreparationPrefix(dead)+"parts/1.json", part("dead"))
	put(PreparationPrefix(dead)+"parts/2.json", part("wanted by another"))
	put(PreparationPrefix(dead)+"transformed/0-1.json", []models.Partition{{URI: refTo("transformed").URI}, {URI: "s3://raw/objects/x"}})
	put(PreparationPrefix(alive)+"parts/1.json", part("wanted by another"))
	put(PreparationPrefix(done)+"parts/1.json", part("kept"))
	put(PartitionsPrefix+"1.json", map[string]string{"summary": PreparationPrefix(dead) + "parts/1.json"})
	put(PartitionsPrefix+"2.json", map[string]string{"summary": PreparationPrefix(alive) + "parts/1.json"})
	put(AnswerKey(done), models.Snapshot{Manifest: models.Ref{SHA256: s.sha}})

	if report := collectAt(t, store, later, Needs{Blind: "somebody does not answer"}); len(report.Preparations) != 0 || report.Kept == "" {
		t.Errorf("%d preparations went although it is not known which run", len(report.Preparations))
	}
	report := collectAt(t, store, later, Needs{Preparations: map[string]bool{alive: true}})
	if len(report.Preparations) != 2 || report.Frees == 0 {
		t.Errorf("leftovers %+v; want those of two preparations", report.Preparations)
	}
	must(kept(store, s, use("lifecycle/new", 0)))
	there := map[string]bool{}
	for _, key := range keysOf(t, store) {
		there[key] = true
	}
	object := func(text string) string { return artifact.ObjectKey(artifact.Digest([]byte(text))) }
	for key, want := range map[string]bool{
		object("dead"): false, object("transformed"): false, object("kept"): true, object("wanted by another"): true,
		PreparationPrefix(dead) + "parts/1.json": false, PreparationPrefix(alive) + "parts/1.json": true,
		PreparationPrefix(done) + "parts/1.json": false, AnswerKey(done): true,
		PartitionsPrefix + "1.json": false, PartitionsPrefix + "2.json": true,
	} {
		if there[key] != want {
			t.Errorf("%s is there: %t; want %t", key, there[key], want)
		}
	}
	if again := collectAt(t, store, later, Needs{Preparations: map[string]bool{alive: true}}); len(again.Preparations) != 0 {
		t.Errorf("the next collection finds %+v", again.Preparations)
	}
}

// Logs of preparing programs lie beside what preparations have found, and are
// larger than anything that a collection reads.
func TestLogsOfPreparingProgramsAreNotRead(t *testing.T) {
	store := artifact.NewMemory("data")
	key := PreparationPrefix(strings.Repeat("d", 64)) + "logs/3.log"
	_, err := artifact.PutBytes(t.Context(), store, key, make([]byte, MaxSummary+1), artifact.PutOptions{})
	must(err)
	report := collectAt(t, store, later, Needs{})
	if len(report.Preparations) != 1 || report.Frees != MaxSummary+1 {
		t.Errorf("leftovers %+v", report.Preparations)
	}
	if rest := keysOf(t, store); !reflect.DeepEqual(rest, []string{IntentKey}) {
		t.Errorf("%q is left", rest)
	}
}
