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
	if err := b.fences().raise(testJob("newer", 8)); err != nil {
		t.Fatal(err)
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
