package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// opened is a store that counts which objects of the source are read, and lists
// in any order.
type opened struct {
	artifact.Store
	shared *openings
}

type openings struct {
	mu    sync.Mutex
	reads map[string]int
	mix   *rand.Rand // nil: in order
}

func watched(store artifact.Store) opened {
	return opened{store, &openings{reads: map[string]int{}}}
}

func (o opened) saw(key string) {
	o.shared.mu.Lock()
	defer o.shared.mu.Unlock()
	if o.Bucket() == "source" {
		o.shared.reads[path.Base(key)]++
	}
}

// Get implements artifact.Store.
func (o opened) Get(ctx context.Context, key string) (io.ReadCloser, artifact.Info, error) {
	o.saw(key)
	return o.Store.Get(ctx, key)
}

// List implements artifact.Store.
func (o opened) List(ctx context.Context, prefix string) ([]artifact.Info, error) {
	all, err := o.Store.List(ctx, prefix)
	if o.shared.mix != nil {
		o.shared.mix.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	return all, err
}

// InBucket implements artifact.Store.
func (o opened) InBucket(bucket string) artifact.Store {
	return opened{o.Store.InBucket(bucket), o.shared}
}

// taken returns what was read since the last call.
func (o opened) taken() (names []string) {
	o.shared.mu.Lock()
	defer o.shared.mu.Unlock()
	for name := range o.shared.reads {
		names = append(names, name)
	}
	o.shared.reads = map[string]int{}
	slices.Sort(names)
	return names
}

// carryOut is prepare as the workflow does it, in the name of a lifecycle.
func carryOut(ctx context.Context, p *activities.Prepare, spec models.DataSpec, lifecycle string) (models.Snapshot, error) {
	list, err := p.ListPartitions(ctx, models.ListPartitionsRequest{Data: spec})
	if err != nil {
		return models.Snapshot{}, err
	}
	work := models.Preparation{ID: list.ID, Listing: list.Listing, Data: spec}
	use := models.SnapshotUse{Model: "m", Workflow: lifecycle, Run: "r", Retention: spec.Retention, Listing: list.Listing}
	found, err := p.FindSnapshot(ctx, models.FindSnapshotRequest{Preparation: work, Use: use})
	if err != nil {
		return models.Snapshot{}, err
	}
	if found.Snapshot != nil {
		return *found.Snapshot, nil
	}
	for _, task := range list.Tasks {
		if _, err := p.PreparePartitions(ctx, models.PreparePartitionsRequest{Preparation: work, Task: task}); err != nil {
			return models.Snapshot{}, err
		}
	}
	return p.WriteSnapshot(ctx, models.WriteSnapshotRequest{Preparation: work, Count: list.Count, Use: use})
}

func TestAnUnchangedSourceIsNotReadAgain(t *testing.T) {
	ctx, store := t.Context(), watched(shipments(t))
	p := &activities.Prepare{Store: store}
	first, err := carryOut(ctx, p, shipmentSpec(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if read := store.taken(); len(read) < 3 || first.Unread || first.Reused {
		t.Errorf("the first time: read %q, unread %v, reused %v", read, first.Unread, first.Reused)
	}
	spec := shipmentSpec()
	spec.Retention = 30 * models.Day // how long says nothing of what
	second, err := carryOut(ctx, p, spec, "b")
	if err != nil {
		t.Fatal(err)
	}
	if read := store.taken(); len(read) != 0 || !second.Unread || !second.Reused || second.SHA256() != first.SHA256() {
		t.Errorf("the second time: read %q, unread %v, reused %v", read, second.Unread, second.Reused)
	}
	if fmt.Sprint(second.Checks) != fmt.Sprint(first.Checks) || second.Report != first.Report || second.Profile != first.Profile {
		t.Error("checks, report or profile are others than the first time")
	}
	uses, err := store.List(ctx, "snapshots/"+first.SHA256()+"/uses/")
	if err != nil || len(uses) != 2 {
		t.Errorf("%d uses are recorded, %v", len(uses), err)
	}
	encoded, _, err := artifact.GetBytes(ctx, store, uses[0].Key, 1<<16)
	var use models.SnapshotUse
	if err != nil || json.Unmarshal(encoded, &use) != nil || use.Snapshot != first.SHA256() || use.Workflow == "" || use.Listing.SHA256 == "" {
		t.Errorf("a use is %s, %v", encoded, err)
	}
}

func TestOnlyAChangedPartitionIsReadAgain(t *testing.T) {
	ctx, store := t.Context(), watched(shipments(t))
	p := &activities.Prepare{Store: store}
	first, err := carryOut(ctx, p, shipmentSpec(), "a")
	if err != nil {
		t.Fatal(err)
	}
	store.taken()
	rows := month(2013, time.February)
	rows[3].Carrier = "AA"
	putObject(t, store.Store, "s3://source/shipments/2013-02.parquet", encode(t, rows))
	second, err := carryOut(ctx, p, shipmentSpec(), "b")
	if err != nil {
		t.Fatal(err)
	}
	if read := store.taken(); !slices.Equal(read, []string{"2013-02.parquet"}) || second.SHA256() == first.SHA256() || second.Reused {
		t.Errorf("after February has changed, %q is read; reused %v", read, second.Reused)
	}
	// What the summary of January names is gone: it is read again.
	for _, dir := range []string{"objects/"} {
		objects, err := store.List(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			if err := store.Delete(ctx, o.Key); err != nil {
				t.Fatal(err)
			}
		}
	}
	third, err := carryOut(ctx, p, shipmentSpec(), "c")
	if err != nil {
		t.Fatal(err)
	}
	if read := store.taken(); len(read) < 2 || third.SHA256() != second.SHA256() || third.Unread {
		t.Errorf("with all files gone, %q is read; unread %v", read, third.Unread)
	}
}

// The same input and spec give the same digest: in another store, with a listing
// in another order, with any number of workers and processors.
func TestTheSnapshotIsTheSameAnywhere(t *testing.T) {
	spec := shipmentSpec()
	spec.Columns = map[string]models.ColumnSpec{"unused": {}, "id": {Sensitive: models.SensitivePseudonymise}}
	spec.PseudonymKey = "env:KEY"
	digests := map[string]bool{}
	for machine := range 6 {
		store := watched(shipments(t))
		store.shared.mix = rand.New(rand.NewPCG(uint64(machine), 1))
		p := &activities.Prepare{Store: store.InBucket(fmt.Sprintf("bucket-%d", machine)), Getenv: func(string) string { return "0123456789abcdef" }}
		before := runtime.GOMAXPROCS(1 + machine%3)
		snapshot, err := besides(t.Context(), p, spec, 1+machine)
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		digests[snapshot.SHA256()] = true
	}
	if len(digests) != 1 {
		t.Errorf("six machines give %d digests", len(digests))
	}
}

// besides prepares with some workers side by side, each taking the next task, in
// any order.
func besides(ctx context.Context, p *activities.Prepare, spec models.DataSpec, workers int) (models.Snapshot, error) {
	list, err := p.ListPartitions(ctx, models.ListPartitionsRequest{Data: spec})
	if err != nil {
		return models.Snapshot{}, err
	}
	work := models.Preparation{ID: list.ID, Listing: list.Listing, Data: spec}
	tasks := make(chan models.PartitionTask, len(list.Tasks))
	for _, i := range rand.Perm(len(list.Tasks)) {
		tasks <- list.Tasks[i]
	}
	close(tasks)
	failed := make(chan error, workers)
	for range workers {
		go func() {
			for task := range tasks {
				if _, err := p.PreparePartitions(ctx, models.PreparePartitionsRequest{Preparation: work, Task: task}); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range workers {
		if err := <-failed; err != nil {
			return models.Snapshot{}, err
		}
	}
	return p.WriteSnapshot(ctx, models.WriteSnapshotRequest{Preparation: work, Count: list.Count, Use: models.SnapshotUse{Model: "m", Workflow: "w", Run: "r"}})
}

func TestPseudonymsNeedTheSameKeyEverywhere(t *testing.T) {
	ctx, store := t.Context(), shipments(t)
	for m := time.January; m <= time.February; m++ { // keys that are no other column's values
		rows := month(2013, m)
		for i := range rows {
			rows[i].ID = "person of " + rows[i].ID
		}
		putObject(t, store, fmt.Sprintf("s3://source/shipments/2013-%02d.parquet", m), encode(t, rows))
	}
	spec := shipmentSpec()
	spec.Columns = map[string]models.ColumnSpec{"id": {Sensitive: models.SensitivePseudonymise}}
	spec.PseudonymKey = "env:KEY"
	with := func(key string) *activities.Prepare {
		return &activities.Prepare{Store: store, Getenv: func(name string) string { return map[string]string{"KEY": key}[name] }}
	}
	_, err := carryOut(ctx, with(""), spec, "a")
	wantFailure(t, err, models.KindUnavailable, "data.pseudonym_key", "KEY is not set on this worker")
	_, err = carryOut(ctx, with("short"), spec, "a")
	wantFailure(t, err, models.KindInvalidSpec, "the key has 5 bytes; at least 16 are needed")

	const key = "a key of many bytes"
	list, err := with(key).ListPartitions(ctx, models.ListPartitionsRequest{Data: spec})
	if err != nil {
		t.Fatal(err)
	}
	_, err = with(key+"!").PreparePartitions(ctx, models.PreparePartitionsRequest{
		Preparation: models.Preparation{ID: list.ID, Listing: list.Listing, Data: spec}, Task: list.Tasks[0]})
	wantFailure(t, err, models.KindUnavailable, "this worker has another key")

	snapshot, err := carryOut(ctx, with(key), spec, "a")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := carryOut(ctx, with(key+"!"), spec, "b"); err != nil || again.Unread || again.SHA256() == snapshot.SHA256() {
		t.Errorf("another key: unread %v, %v", again.Unread, err)
	}
	objects, err := store.List(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		content, _, err := artifact.GetBytes(ctx, store, o.Key, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(key)) || bytes.Contains(content, []byte("person of 2013")) {
			t.Errorf("%s holds the key, or a value that it stands for", o.Key)
		}
	}
	if len(objects) < 20 || snapshot.Columns[0].Type != "string" {
		t.Errorf("%d objects, columns %+v", len(objects), snapshot.Columns)
	}
}

// Text files and Parquet with the same rows give the same files.
func TestFormatsGiveTheSameRows(t *testing.T) {
	digests := map[string][]string{}
	for _, format := range []string{"parquet", "csv", "jsonl"} {
		store := artifact.NewMemory("mainspring")
		for m := time.January; m <= time.February; m++ {
			rows := month(2013, m)
			var text strings.Builder
			if format == "csv" {
				text.WriteString("id,at,late,known,weight,carrier\n")
			}
			for _, r := range rows {
				at, known := time.UnixMicro(r.At).UTC().Format(time.RFC3339), time.UnixMicro(r.Known).UTC().Format(time.RFC3339)
				switch format {
				case "csv":
					fmt.Fprintf(&text, "%s,%s,%d,%s,%d,%s\n", "k"+r.ID, at, r.Late, known, *r.Weight, r.Carrier)
				case "jsonl":
					fmt.Fprintf(&text, `{"carrier":%q,"id":%q,"at":%q,"late":%d,"known":%q,"weight":%d}`+"\n", r.Carrier, "k"+r.ID, at, r.Late, known, *r.Weight)
				}
			}
			content := []byte(text.String())
			if format == "parquet" {
				for i := range rows {
					rows[i].ID = "k" + rows[i].ID
				}
				content = encode(t, rows)
			}
			putObject(t, store, fmt.Sprintf("s3://source/shipments/2013-%02d.%s", m, format), content)
		}
		spec := shipmentSpec()
		spec.Columns = map[string]models.ColumnSpec{"at": {Type: "timestamp"}, "known": {Type: "timestamp"}, "late": {Type: "int64"}, "weight": {Type: "int64"}}
		spec.Holdout, spec.Split = 0, models.SplitSpec{By: models.SplitByHash, Column: "weight", Fraction: 0.25}
		snapshot, err := carryOut(t.Context(), &activities.Prepare{Store: store}, spec.WithDefaults(), "a")
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		digests[snapshot.SHA256()] = append(digests[snapshot.SHA256()], format)
		if snapshot.Test.Rows == 0 || snapshot.Train.Rows == 0 || snapshot.Files != 4 {
			t.Errorf("%s: %d and %d rows in %d files", format, snapshot.Train.Rows, snapshot.Test.Rows, snapshot.Files)
		}
	}
	if len(digests) != 1 {
		t.Errorf("three formats of the same rows give %v", digests)
	}
}

// Whatever a collection takes between reading and joining is written again.
func TestFilesThatACollectionTookAreWrittenAgain(t *testing.T) {
	ctx, store := t.Context(), watched(shipments(t))
	p := &activities.Prepare{Store: store}
	list, err := p.ListPartitions(ctx, models.ListPartitionsRequest{Data: shipmentSpec()})
	if err != nil {
		t.Fatal(err)
	}
	work := models.Preparation{ID: list.ID, Listing: list.Listing, Data: shipmentSpec()}
	for _, task := range list.Tasks {
		if _, err := p.PreparePartitions(ctx, models.PreparePartitionsRequest{Preparation: work, Task: task}); err != nil {
			t.Fatal(err)
		}
	}
	there, err := store.List(ctx, "objects/")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range there {
		if info.Key == artifact.ObjectKey(list.Listing.SHA256) {
			continue
		}
		if err := store.Delete(ctx, info.Key); err != nil {
			t.Fatal(err)
		}
	}
	snapshot, err := p.WriteSnapshot(ctx, models.WriteSnapshotRequest{Preparation: work, Count: list.Count, Use: models.SnapshotUse{Model: "m", Workflow: "w", Run: "r"}})
	if err != nil {
		t.Fatalf("the snapshot, of which %d objects were taken: %v", len(there)-1, err)
	}
	undisturbed, err := carryOut(ctx, &activities.Prepare{Store: shipments(t)}, shipmentSpec(), "a")
	if err != nil || undisturbed.SHA256() != snapshot.SHA256() {
		t.Errorf("%s is not the snapshot %s that there is without a collection: %v", snapshot.SHA256(), undisturbed.SHA256(), err)
	}
}
