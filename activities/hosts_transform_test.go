package activities

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// preparing asks for the run of a shell script over two files of a source, and
// counts its starts in a file.
func (b *hostBench) preparing(script string) models.TransformRequest {
	b.Helper()
	b.Environ = append(b.Environ, "PREPARE_TOKEN=hush-hush-hush")
	ctx := context.Background()
	put := func(key, text string) {
		if _, err := artifact.PutBytes(ctx, b.memory.InBucket("source"), key, []byte(text), artifact.PutOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	put("rows/2013/a.csv", "id,n\na1,1\na2,2\n")
	put("rows/2013/b.csv", "id,n\nb1,3\n")
	spec := models.DataSpec{Source: "s3://source/rows/", Prepare: &models.PrepareSpec{
		Command: []string{"/bin/sh", "-c", "echo start >> " + b.starts() + "; " + script}, Params: map[string]any{"factor": 3},
		Env: map[string]string{"TOKEN": "env:PREPARE_TOKEN"},
	}}
	return b.over(spec)
}

func (b *hostBench) starts() string { return filepath.Join(b.dir, "starts") }

func (b *hostBench) started() int { return strings.Count(readText(b.starts()), "start") }

// over lists the source as it is now.
func (b *hostBench) over(spec models.DataSpec) models.TransformRequest {
	b.Helper()
	ctx := context.Background()
	sources, err := artifact.ListURI(ctx, b.memory, spec.Source)
	if err != nil {
		b.Fatal(err)
	}
	var partitions []models.Partition
	for _, s := range sources {
		partitions = append(partitions, models.Partition{URI: s.URI, ETag: s.ETag, Size: s.Size})
	}
	list, err := (&Prepare{Store: b.memory}).keepListing(ctx, models.ListPartitionsRequest{Data: spec}, partitions)
	if err != nil {
		b.Fatal(err)
	}
	return models.TransformRequest{
		Key: "abc123", Node: models.LeaseNode{Node: "n"}, Preparation: models.Preparation{ID: list.ID, Listing: list.Listing, Data: spec},
		Task: models.PartitionTask{To: list.Count},
	}
}

func (b *hostBench) transform(req models.TransformRequest) []models.Partition {
	b.Helper()
	result, err := b.TransformOnHost(context.Background(), req)
	if err != nil {
		b.Fatal(err)
	}
	data, err := artifact.ReadRef(context.Background(), b.memory, result.Listing, 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	var left []models.Partition
	if err := json.Unmarshal(data, &left); err != nil {
		b.Fatal(err)
	}
	if result.Count != len(left) {
		b.Errorf("counts %d of %d", result.Count, len(left))
	}
	return left
}

// text reads an output.
func (b *hostBench) text(left []models.Partition, name string) string {
	b.Helper()
	i := slices.IndexFunc(left, func(p models.Partition) bool { return p.Name == name })
	if i < 0 {
		b.Fatalf("no output %s among %+v", name, left)
	}
	_, key, err := artifact.ParseURI(left[i].URI)
	if err != nil {
		b.Fatal(err)
	}
	return b.stored(key)
}

// double writes each file with one more column, under its own name.
const double = `cd "$MAINSPRING_DATA_DIR" && for f in $(find . -name '*.csv'); do
	mkdir -p "$MAINSPRING_OUTPUT_DIR/$(dirname $f)" && sed -e '1s/$/,twice/' -e '2,$s/$/,x/' "$f" > "$MAINSPRING_OUTPUT_DIR/$f"; done; `

func TestProgramSeesItsFilesAndLeavesOthers(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	env := filepath.Join(b.dir, "environment")
	req := b.preparing(double + "env > " + env + "; touch $MAINSPRING_OUTPUT_DIR/_half.csv $MAINSPRING_OUTPUT_DIR/notes.txt")
	req.Token, req.Node.Devices = 7, []models.Device{{UUID: "VIRT-n-0", Vendor: models.VendorVirtual}}
	left := b.transform(req)
	if len(left) != 2 || b.text(left, "2013/a.csv") != "id,n,twice\na1,1,x\na2,2,x\n" || b.text(left, "2013/b.csv") != "id,n,twice\nb1,3,x\n" {
		t.Errorf("left %+v", left)
	}
	if b.started() != 2 {
		t.Errorf("%d runs for two partitions", b.started())
	}
	seen := "\n" + readText(env)
	for _, want := range []string{`MAINSPRING_PARAMS={"factor":3}`, "MAINSPRING_VISIBLE_DEVICES=VIRT-n-0", "TOKEN=hush-hush-hush", "CUDA_VISIBLE_DEVICES="} {
		if !strings.Contains(seen, "\n"+want+"\n") {
			t.Errorf("the program lacks %s", want)
		}
	}
	if strings.Contains(seen, "OTHER=") {
		t.Error("the program sees what is the agent's own")
	}
	if left, _ := filepath.Glob(b.Runner.Dir("prepare-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestOneRunSeesAllFilesOfASource(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.preparing(`cat "$MAINSPRING_DATA_DIR"/2013/*.csv | grep -v id > "$MAINSPRING_OUTPUT_DIR/all.csv"`)
	req.Preparation.Data.Prepare.Per = models.PreparePerSource
	left := b.transform(req)
	if len(left) != 1 || b.text(left, "all.csv") != "a1,1\na2,2\nb1,3\n" || b.started() != 1 {
		t.Errorf("left %+v after %d runs", left, b.started())
	}
}

func TestOnlyWhatChangedIsPreparedAgain(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.preparing(double)
	first := b.transform(req)
	if again := b.transform(req); !reflect.DeepEqual(first, again) || b.started() != 2 {
		t.Errorf("the same preparation ran %d times and left %+v", b.started(), again)
	}
	ctx := context.Background()
	if _, err := artifact.PutBytes(ctx, b.memory.InBucket("source"), "rows/2013/b.csv", []byte("id,n\nb2,4\n"), artifact.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	next := b.over(req.Preparation.Data)
	if next.Preparation.ID == req.Preparation.ID {
		t.Fatal("the same ID for another source")
	}
	p := &Prepare{Store: b.memory}
	tasks := []models.PartitionTask{{From: 0, To: 1}, {From: 1, To: 2}}
	found, err := p.FindTransformed(ctx, models.FindTransformedRequest{Raw: next.Preparation, Tasks: tasks})
	if err != nil || !reflect.DeepEqual(found.Missing, tasks[1:]) {
		t.Fatalf("missing %+v, %v", found.Missing, err)
	}
	next.Task, next.Key = tasks[1], "def456"
	b.transform(next)
	if b.started() != 3 {
		t.Errorf("%d runs; want one more than two", b.started())
	}
	list, err := p.ListTransformed(ctx, models.ListTransformedRequest{Raw: next.Preparation, Tasks: tasks})
	if err != nil || list.Count != 2 || list.ID == next.Preparation.ID {
		t.Fatalf("got %+v, %v", list, err)
	}
	same, err := p.ListTransformed(ctx, models.ListTransformedRequest{Raw: next.Preparation, Tasks: tasks})
	if err != nil || same.ID != list.ID {
		t.Errorf("ID %s, then %s, %v", list.ID, same.ID, err)
	}

	// What was deleted meanwhile is no answer.
	_, key, _ := artifact.ParseURI(first[0].URI)
	if err := b.memory.Delete(ctx, key); err != nil {
		t.Fatal(err)
	}
	found, err = p.FindTransformed(ctx, models.FindTransformedRequest{Raw: next.Preparation, Tasks: tasks})
	if err != nil || !reflect.DeepEqual(found.Missing, tasks[:1]) {
		t.Errorf("missing %+v, %v", found.Missing, err)
	}
	_, err = p.ListTransformed(ctx, models.ListTransformedRequest{Raw: next.Preparation, Tasks: tasks})
	wantKind(t, err, models.KindPreparationFailed, "not there any more")
}

// A collection may have asked which preparations run just before one begins that
// counts on what another has left long ago.
func TestACollectionTakesNothingThatWasFound(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.preparing(double)
	b.transform(req)
	p, ctx := &Prepare{Store: b.memory}, context.Background()
	tasks := []models.PartitionTask{req.Task}
	collector := &snapshots.Collector{
		Catalog: snapshots.Catalog{Store: b.memory, Now: func() time.Time { return time.Now().Add(30 * models.Day.Std()) }},
		Rules:   snapshots.Rules{Grace: snapshots.Grace, Leftovers: 7 * models.Day.Std()}, Delete: true,
		Needed: func(context.Context, []snapshots.Item) (snapshots.Needs, error) {
			found, err := p.FindTransformed(ctx, models.FindTransformedRequest{Raw: req.Preparation, Tasks: tasks})
			if len(found.Missing) > 0 {
				t.Errorf("missing %+v", found.Missing)
			}
			return snapshots.Needs{}, err
		},
	}
	if _, err := collector.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ListTransformed(ctx, models.ListTransformedRequest{Raw: req.Preparation, Tasks: tasks}); err != nil {
		t.Error(err)
	}
}

// Which of its files count is said by the format: what counted for another one is
// no answer.
func TestAnotherFormatCountsOtherFiles(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.preparing(double + `echo '{}' > "$MAINSPRING_OUTPUT_DIR/schema.json"`)
	req.Preparation.Data.Prepare.Per = models.PreparePerSource
	if left := b.transform(req); len(left) != 3 {
		t.Errorf("left %+v", left)
	}
	spec := req.Preparation.Data
	spec.Format = models.FormatCSV
	next := b.over(spec)
	next.Key = "def456"
	if left := b.transform(next); len(left) != 2 {
		t.Errorf("left %+v; want CSV files only", left)
	}
}

func TestTwoRunsMustNotLeaveOneName(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.preparing(`cat "$MAINSPRING_DATA_DIR"/2013/*.csv > "$MAINSPRING_OUTPUT_DIR/out.csv"`)
	b.transform(req)
	_, err := (&Prepare{Store: b.memory}).ListTransformed(context.Background(), models.ListTransformedRequest{Raw: req.Preparation, Tasks: []models.PartitionTask{req.Task}})
	wantKind(t, err, models.KindPreparationFailed, `"out.csv"`, "per: source")
}

func TestPreparationsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		change func(*models.TransformRequest)
		kind   models.ErrorKind
		says   []string
	}{
		"exit status":  {script: double + "echo the reason with $TOKEN; exit 3", says: []string{"2013/a.csv", "exit status 3", "the reason with **********", "logs/0.log"}},
		"data error":   {script: "exit 65", says: []string{"data is at fault"}},
		"nothing left": {script: "true", says: []string{"left no file in MAINSPRING_OUTPUT_DIR"}},
		"other things": {script: "touch $MAINSPRING_OUTPUT_DIR/out.txt", says: []string{"no file of a known format", "1 others"}},
		"a link":       {script: "ln -s /etc/passwd $MAINSPRING_OUTPUT_DIR/out.csv", says: []string{"out.csv", "is no file"}},
		"killed":       {script: "kill -9 $$", kind: models.KindRankLost, says: []string{"signal (killed)"}},
		"too slow": {script: "sleep 60", change: func(r *models.TransformRequest) { r.Preparation.Data.Prepare.Timeout = models.Duration(time.Second) },
			says: []string{"took longer than 1s", "data.prepare.timeout"}},
		"no program": {change: func(r *models.TransformRequest) { r.Preparation.Data.Prepare.Command = []string{"prepaer"} },
			kind: models.KindInvalidSpec, says: []string{"data.prepare.command", "command not found", "data.prepare.code"}},
		"no secret": {change: func(r *models.TransformRequest) {
			r.Preparation.Data.Prepare.Env = map[string]string{"TOKEN": "env:NOT_SET"}
		},
			kind: models.KindEnvironmentFailed, says: []string{"NOT_SET", "data.prepare.env"}},
		"no key": {change: func(r *models.TransformRequest) { r.Key = "" }, kind: models.KindInvalidSpec, says: []string{"needs a key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHostBench(t)
			req := b.preparing(c.script)
			if c.change != nil {
				c.change(&req)
			}
			if c.kind == "" {
				c.kind = models.KindPreparationFailed
			}
			_, err := b.TransformOnHost(context.Background(), req)
			wantKind(t, err, c.kind, c.says...)
			if strings.Contains(err.Error(), "hush-hush") {
				t.Errorf("a secret is in the error: %v", err)
			}
			for _, prefix := range []string{"transforms/", "preparations/" + req.Preparation.ID + "/transformed/"} {
				if half, err := b.memory.List(context.Background(), prefix); err != nil || len(half) > 0 {
					t.Errorf("visible: %v, %v", half, err)
				}
			}
		})
	}
}

func TestSourceThatChangedIsNotPrepared(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.preparing(double)
	if _, err := artifact.PutBytes(context.Background(), b.memory.InBucket("source"), "rows/2013/a.csv", []byte("id\n"), artifact.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := b.TransformOnHost(context.Background(), req)
	wantKind(t, err, models.KindInvalidSpec, "rows/2013/a.csv", "changed after the source was listed")
	if b.started() != 0 {
		t.Error("the program ran")
	}
	if left, err := os.ReadDir(filepath.Dir(b.Runner.Dir("x"))); err != nil || len(left) != 0 {
		t.Errorf("copies of the source are left: %v, %v", left, err)
	}
}

// A host without room is left for another one, which its workflow finds.
func TestAFullDiskSendsThePreparationElsewhere(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "/jobs/input/a.csv", Err: unix.ENOSPC}
	wantKind(t, notCopied("s3://source/a.csv", "/jobs/input/a.csv", errors.Join(full, nil)), models.KindRankLost, "s3://source/a.csv", "disk is full", "make room")
	wantKind(t, notCopied("s3://source/a.csv", "/jobs/input/a.csv", artifact.ErrUnavailable), models.KindUnavailable, "can't be copied")
}

func TestNextAgentAttachesToARunningPreparation(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	gate := filepath.Join(b.dir, "go")
	req := b.preparing("until [ -e " + gate + " ]; do sleep 0.02; done; " + double)
	attempt, timeOut := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.TransformOnHost(attempt, req)
		done <- err
	}()
	b.eventually("the program runs", func() bool { return b.started() == 1 })
	timeOut(errors.New("the attempt timed out"))
	wantKind(t, <-done, models.KindUnavailable, "goes on")

	next := *newHostBench(t) // the next agent knows nothing but the directories
	next.Hosts = &Hosts{Node: b.Node, Store: b.Store, Runner: b.Runner, Environments: b.Environments, Cache: b.Cache, Environ: b.Environ}
	if err := os.WriteFile(gate, []byte("go"), 0o600); err != nil {
		t.Fatal(err)
	}
	next.memory = b.memory
	left := next.transform(req)
	if len(left) != 2 || b.started() != 2 {
		t.Errorf("left %+v after %d runs; want one for each partition", left, b.started())
	}
	if log := b.stored("preparations/" + req.Preparation.ID + "/logs/0.log"); log != "" {
		t.Errorf("the program said nothing, but its log is %q", log)
	}
}

func TestCancellationEndsThePreparation(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	pid := filepath.Join(b.dir, "pid")
	req := b.preparing("echo $$ > " + pid + "; while true; do sleep 0.1; done")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.TransformOnHost(ctx, req)
		done <- err
	}()
	b.eventually("the program runs", func() bool { return readText(pid) != "" })
	cancel()
	var asked *temporal.CanceledError
	if err := <-done; !errors.As(err, &asked) {
		t.Fatalf("got %v", err)
	}
	n, err := strconv.Atoi(readText(pid))
	if err != nil {
		t.Fatal(err)
	}
	if unix.Kill(n, 0) == nil {
		t.Errorf("process %d still runs", n)
	}
}
