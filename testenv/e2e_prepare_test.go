package testenv_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
	stack "github.com/mainspring-ml/mainspring/testenv/laptop"
)

// preparePy doubles n; it waits for a file to be there, and notes its starts.
const preparePy = `import csv, os, sys, time
source, target = os.environ["MAINSPRING_DATA_DIR"], os.environ["MAINSPRING_OUTPUT_DIR"]
with open(os.environ["STARTS"], "a") as log:
    log.write("start %s\n" % ",".join(sorted(os.listdir(source))))
while not os.path.exists(os.environ["GATE"]):
    time.sleep(0.05)
for name in os.listdir(source):
    with open(os.path.join(source, name)) as rows, open(os.path.join(target, name), "w") as out:
        writer = None
        for row in csv.DictReader(rows):
            if row["n"] == "oops":
                sys.exit("%s: n is %r" % (name, row["n"]))
            row["twice"] = 2 * int(row["n"])
            writer = writer or csv.DictWriter(out, list(row))
            if out.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
`

const prepareSh = `#!/bin/sh
echo "start $(ls $MAINSPRING_DATA_DIR)" >> "$STARTS"
for f in "$MAINSPRING_DATA_DIR"/*; do
  awk -F, 'NR == 1 { print $0 ",twice" } NR > 1 { print $0 "," 2 * $4 }' "$f" > "$MAINSPRING_OUTPUT_DIR/$(basename "$f")"
done
`

// leasedSh is prepareSh on devices: it notes which it has, and until when.
const leasedSh = `#!/bin/sh
echo "on $MAINSPRING_VISIBLE_DEVICES" >> "$STARTS"
while [ ! -e "$GATE" ]; do sleep 0.05; done
for f in "$MAINSPRING_DATA_DIR"/*; do
  awk -F, 'NR == 1 { print $0 ",twice" } NR > 1 { print $0 "," 2 * $4 }' "$f" > "$MAINSPRING_OUTPUT_DIR/$(basename "$f")"
done
echo "off $MAINSPRING_VISIBLE_DEVICES" >> "$STARTS"
`

// prepared is a source of three CSV files, and the code of two programs.
type prepared struct {
	*laptop
	t           *testing.T
	ctx         context.Context
	dir, source string
	gate        string
}

func (p prepared) write(part int, rows ...string) {
	p.t.Helper()
	lines := append([]string{"id,at,late,n"}, rows...)
	path := filepath.Join(p.source, fmt.Sprintf("part-%d.csv", part))
	require.NoError(p.t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

func (p prepared) starts() []string {
	text, err := os.ReadFile(filepath.Join(p.dir, "starts"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func (p prepared) input(command ...string) models.PrepareDataInput {
	p.t.Helper()
	code, err := artifact.PackDir(filepath.Join(p.dir, "code"), 0)
	require.NoError(p.t, err)
	access := p.Access()
	store, err := artifact.NewS3(artifact.Config{Endpoint: access.S3.Endpoint, Bucket: access.S3.Bucket, AccessKey: access.S3.AccessKey, SecretKey: string(access.S3.SecretKey)})
	require.NoError(p.t, err)
	ref, err := artifact.PutObjectBytes(p.ctx, store, code.Bytes)
	require.NoError(p.t, err)
	return models.PrepareDataInput{Model: "sums", Data: models.DataSpec{
		Source: artifact.FileURI(p.source), Time: "at", Key: "id", Label: "late", Features: []string{"twice"},
		AsOf: time.Date(2026, 1, 11, 0, 0, 0, 0, time.UTC), Window: 10 * models.Day, Holdout: 3 * models.Day,
		Prepare: &models.PrepareSpec{
			Command: command, Code: models.Source{URI: ref.URI, SHA256: ref.SHA256, Size: ref.Size},
			Env: map[string]string{"STARTS": filepath.Join(p.dir, "starts"), "GATE": p.gate},
		},
	}}
}

func (p prepared) begin(id string, input models.PrepareDataInput) client.WorkflowRun {
	p.t.Helper()
	run, err := p.temporal.ExecuteWorkflow(p.ctx, client.StartWorkflowOptions{ID: id, TaskQueue: models.TaskQueue}, models.PrepareDataWorkflow, input)
	require.NoError(p.t, err)
	return run
}

// TestPreparingPrograms has programs of two kinds prepare data while an agent is
// killed, on a real stack, and reads the lineage that is told of it.
func TestPreparingPrograms(t *testing.T) {
	if os.Getenv("MAINSPRING_TEST_STACK") == "" || testing.Short() {
		t.Skip("SKIPPED: it starts a whole stack; `make test` runs it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	events := filepath.Join(t.TempDir(), "lineage.jsonl")
	t.Setenv("OPENLINEAGE_URL", "file://"+events)
	p := prepared{laptop: startLaptopWith(ctx, t, stack.Config{Devices: 1}), t: t, ctx: ctx, dir: t.TempDir()}
	p.source, p.gate = filepath.Join(p.dir, "rows"), filepath.Join(p.dir, "go")
	for _, dir := range []string{p.source, filepath.Join(p.dir, "code")} {
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "code", "prepare.py"), []byte(preparePy), 0o600))
	for name, text := range map[string]string{"prepare.sh": prepareSh, "leased.sh": leasedSh} {
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, "code", name), []byte(text), 0o700))
	}
	for part := range 3 {
		var rows []string
		for day := 1; day <= 10; day++ {
			rows = append(rows, fmt.Sprintf("%d-%d,2026-01-%02dT0%d:00:00Z,%d,%d", part, day, day, part, day%2, 10*part+day))
		}
		p.write(part, rows...)
	}

	// An agent is killed while programs run: each is started once, and ends well.
	run := p.begin("prepare-1", p.input("python", "prepare.py"))
	require.Eventually(t, func() bool { return len(p.starts()) == 3 }, patience, 100*time.Millisecond)
	p.killAgent()
	require.NoError(t, os.WriteFile(p.gate, nil, 0o600))
	var first models.Snapshot
	require.NoError(t, run.Get(ctx, &first))
	require.Equal(t, int64(21), first.Train.Rows)
	require.Equal(t, int64(9), first.Test.Rows)
	require.Len(t, p.starts(), 3, "nothing was started again")

	// The other program leaves the same rows, so the snapshot is the same one.
	var second models.Snapshot
	require.NoError(t, p.begin("prepare-2", p.input("./prepare.sh")).Get(ctx, &second))
	require.Equal(t, first.SHA256(), second.SHA256())

	p.onDevices(first)

	// One file changes: one is prepared again.
	before := len(p.starts())
	p.write(1, "1-1,2026-01-02T03:00:00Z,1,500", "1-9,2026-01-09T03:00:00Z,0,501")
	var third models.Snapshot
	require.NoError(t, p.begin("prepare-3", p.input("./prepare.sh")).Get(ctx, &third))
	require.Equal(t, []string{"start part-1.csv"}, p.starts()[before:])
	require.Equal(t, int64(15), third.Train.Rows)

	// A program that fails says why.
	p.write(2, "2-1,2026-01-02T03:00:00Z,1,oops")
	err := p.begin("prepare-4", p.input("python", "prepare.py")).Get(ctx, nil)
	require.ErrorContains(t, err, "part-2.csv: n is 'oops'")
	require.ErrorContains(t, err, "exit status 1")

	told := map[string][]string{}
	for _, e := range lineageTold(ctx, t, events) {
		told[e.Run.RunID] = append(told[e.Run.RunID], e.EventType)
	}
	require.Equal(t, []string{"START", "COMPLETE"}, told[run.GetRunID()])
	require.Len(t, told, 5)
}

// killAgent kills one of the two, and gives the next one time to take over.
func (p prepared) killAgent() {
	p.t.Helper()
	agents := agentsOf(p.Laptop)
	require.Len(p.t, agents, 2)
	require.NoError(p.t, syscall.Kill(agents[0], syscall.SIGKILL))
	time.Sleep(2 * time.Second)
}

// onDevices has the three files prepared on two leased devices, kills an agent
// meanwhile, and wants the same snapshot as without devices.
func (p prepared) onDevices(want models.Snapshot) {
	t := p.t
	t.Helper()
	input, before := p.input("./leased.sh"), len(p.starts())
	gate := filepath.Join(p.dir, "go-on-devices")
	input.Data.Prepare.Env["GATE"] = gate
	input.Data.Prepare.Resources = &models.Resources{Nodes: 1, GPUsPerNode: 1}
	run := p.begin("prepare-on-devices", input)
	var pool models.PoolStatus
	require.Eventually(t, func() bool {
		return p.Query(p.ctx, models.PoolID(models.DefaultPool), &pool) == nil && len(pool.Waiting) == 1 && len(p.starts()) == before+2
	}, patience, 100*time.Millisecond, "two devices are leased, and the third program waits for one")
	require.Contains(t, pool.Waiting[0].Purpose, "prepare data of sums: ")
	require.Len(t, pool.Leases, 2)
	p.killAgent()
	require.NoError(t, os.WriteFile(gate, nil, 0o600))
	var got models.Snapshot
	require.NoError(t, run.Get(p.ctx, &got))
	require.Equal(t, want.SHA256(), got.SHA256())

	busy, turns := map[string]bool{}, 0
	for _, line := range p.starts()[before:] {
		what, device, _ := strings.Cut(line, " ")
		require.NotEmpty(t, device)
		require.Equal(t, what == "off", busy[device], "one program at a time has a device: %v", p.starts()[before:])
		if busy[device] = what == "on"; busy[device] {
			turns++
		}
	}
	require.Equal(t, 3, turns, "each file was prepared once")
	require.Len(t, busy, 2)
	require.Eventually(t, func() bool {
		holders, err := p.Leases(p.ctx)
		return err == nil && len(holders) == 0
	}, patience, 100*time.Millisecond, "the devices are given back")
}

func agentsOf(l *stack.Laptop) (pids []int) {
	for pid, line := range l.Processes() {
		if strings.HasPrefix(line, filepath.Join(l.Bin, "mainspring")+" agent") {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}
