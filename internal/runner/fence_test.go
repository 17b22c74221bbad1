package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func TestNewerTokenEndsTheOlderJobFirst(t *testing.T) {
	b := newBench(t)
	older := b.start(testJob("older", 7, "rank sleep"))
	before := b.started(older)
	newer := b.start(testJob("newer", 8, "rank sleep"))
	if before.Processes[0].ID.Alive() {
		t.Error("both jobs have the device")
	}
	state, ended, err := older.Poll()
	if err != nil || !ended || !strings.Contains(state.Stopping, "newer lease") {
		t.Errorf("got %+v, %v, %v", state, ended, err)
	}
	if now := b.started(newer); !now.Processes[0].ID.Alive() {
		t.Error("the newer job does not run")
	}
}

func TestOlderTokenIsRefused(t *testing.T) {
	b := newBench(t)
	newer := b.start(testJob("newer", 8, "rank sleep"))
	for _, late := range []Job{testJob("older", 7, "rank sleep"), testJob("twin", 8, "rank sleep")} {
		_, _, err := b.Start(context.Background(), late.logged(b.Root))
		var stale *models.Error
		if !errors.As(err, &stale) || stale.Kind != models.KindStaleFence || stale.Subject != "VIRT-n-0" {
			t.Errorf("%s: got %v", late.Key, err)
		}
		if _, err := os.Stat(b.Dir(late.Key)); !os.IsNotExist(err) {
			t.Errorf("%s: a refused job has a directory", late.Key)
		}
	}
	if state := b.started(newer); !state.Processes[0].ID.Alive() {
		t.Error("the refused jobs ended the newer one")
	}
	elsewhere := testJob("elsewhere", 1, "rank 0")
	elsewhere.Devices = []string{"VIRT-n-1"}
	b.wait(b.start(elsewhere))
}

// A shim that was about to start when the fence was raised must not start.
func TestLateShimReadsTheFence(t *testing.T) {
	b := newBench(t)
	older := testJob("older", 7, "rank sleep").logged(b.Root).withDefaults()
	dir := b.Dir(older.Key)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeJSON(filepath.Join(dir, jobFile), shimJob{older, b.fences()}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(string(b.fences()), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, job := range []Job{older, testJob("newer", 8)} {
		if err := b.fences().raise(job, b.over); err != nil {
			t.Fatal(err)
		}
	}
	err := RunShim(context.Background(), dir, strings.NewReader(`[[]]`))
	var stale *models.Error
	if !errors.As(err, &stale) || stale.Kind != models.KindStaleFence {
		t.Errorf("got %v", err)
	}
	if _, found, _ := readState(dir); found {
		t.Error("the late shim started something")
	}
}

// An agent that died between writing job.json and starting the shim.
func TestInterruptedStartIsTakenUp(t *testing.T) {
	b := newBench(t)
	job := testJob("half", 1, "rank 0")
	if err := os.MkdirAll(b.Dir("half"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeJSON(filepath.Join(b.Dir("half"), jobFile), shimJob{job, b.fences()}); err != nil {
		t.Fatal(err)
	}
	if state := b.wait(b.start(job)); state.Lost || state.Processes[0].Exit.Failed() {
		t.Errorf("got %+v", state)
	}
}

func shared(job Job, milli int64) Job {
	job.Shares = map[string]int64{"VIRT-n-0": milli}
	return job
}

func TestSharesOfADeviceRunBesideEachOther(t *testing.T) {
	b := newBench(t)
	first := b.start(shared(testJob("first", 1, "rank sleep"), 500))
	second := b.start(shared(testJob("second", 2, "rank sleep"), 300))
	before := b.started(first)
	b.started(second)
	if _, err := second.Stop(context.Background(), "done"); err != nil {
		t.Fatal(err)
	}
	// The second is over: the third takes its room, not the first's.
	third := b.start(shared(testJob("third", 3, "rank sleep"), 500))
	if now := b.started(third); !now.Processes[0].ID.Alive() || !before.Processes[0].ID.Alive() {
		t.Error("two halves do not run beside each other")
	}
	// Starting what is over attaches, and takes nobody's room.
	if _, attached, err := b.Start(context.Background(), shared(testJob("second", 2, "rank sleep"), 300).logged(b.Root)); err != nil || !attached {
		t.Errorf("attached %v, %v", attached, err)
	}
	if !before.Processes[0].ID.Alive() {
		t.Error("a job that is over made another one go")
	}
	fourth := b.start(shared(testJob("fourth", 4, "rank sleep"), 200))
	b.started(fourth)
	if before.Processes[0].ID.Alive() {
		t.Error("three jobs have 1200 thousandths of the device")
	}
	if state, _, _ := first.Poll(); state.Stopping != ReasonFenced {
		t.Errorf("the oldest ended by %q", state.Stopping)
	}
	if state, ended, _ := third.Poll(); ended {
		t.Errorf("the third had to go as well: %+v", state)
	}
	_, _, err := b.Start(context.Background(), shared(testJob("late", 1, "rank sleep"), 500).logged(b.Root))
	var refused *models.Error
	if !errors.As(err, &refused) || refused.Kind != models.KindStaleFence {
		t.Errorf("got %v", err)
	}
}

// A starter that died after it had raised the fence, and before it ended the
// job that had to make way.
func TestNextStartEndsWhatAnEarlierOneCouldNot(t *testing.T) {
	b := newBench(t)
	oldest := b.start(shared(testJob("oldest", 1, "rank sleep"), 600))
	before := b.started(oldest)
	if err := b.fences().raise(shared(testJob("dead", 2, "rank sleep"), 600), b.over); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Start(context.Background(), shared(testJob("oldest", 1, "rank sleep"), 600).logged(b.Root)); err == nil {
		t.Error("a job that had to make way was attached to")
	}
	b.started(b.start(shared(testJob("newest", 3, "rank sleep"), 100)))
	if before.Processes[0].ID.Alive() {
		t.Error("the job without a claim still runs")
	}
}
