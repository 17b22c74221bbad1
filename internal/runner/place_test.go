package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/runner/affinity"
	"github.com/mainspring-ml/mainspring/internal/runner/cgroup"
)

// allowed is what the kernel says of a running process.
func (b bench) allowed(id ProcessID) string {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", id.PID))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "Cpus_allowed_list:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

func hostCores(t *testing.T) affinity.Host {
	t.Helper()
	host, err := affinity.ReadHost("/sys")
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// onDevice gives a job a device of its own.
func onDevice(job Job, device string) Job {
	job.Devices = []string{device}
	return job
}

func TestLeasedCoresAreOneJobsAlone(t *testing.T) {
	b := newBench(t)
	if len(hostCores(t)) < 2 {
		t.Skip("one core can't be split")
	}
	owner := map[string]string{}
	var jobs []*Handle
	for i, name := range []string{"a", "b"} {
		job := onDevice(testJob(name, 1, "rank sleep"), fmt.Sprintf("VIRT-n-%d", i))
		job.Cores = 1
		handle := b.start(job)
		jobs = append(jobs, handle)
		state := b.started(handle)
		core := b.allowed(state.Processes[0].ID)
		if owner[core] != "" || strings.ContainsAny(core, ",-") {
			t.Errorf("job %s has cores %s, of which job %q has some", name, core, owner[core])
		}
		owner[core] = name
		if whole := b.allowed(state.Shim); len(hostCores(t).Allowed(must(affinity.Parse(whole)))) != len(hostCores(t)) {
			t.Errorf("the shim is bound to %s", whole)
		}
	}
	// What an ended job had is free again.
	first := jobs[0].job.Processes[0].Cores
	if _, err := jobs[0].Stop(context.Background(), "done"); err != nil {
		t.Fatal(err)
	}
	if used, err := b.coresInUse("c"); err != nil || len(used) != 1 || used[0] == first[0] {
		t.Errorf("in use: %v, %v; the ended job had %v", used, err, first)
	}
}

func must(cores []int, err error) []int {
	if err != nil {
		panic(err)
	}
	return cores
}

func TestProcessesOfAJobSplitItsCores(t *testing.T) {
	b := newBench(t)
	host := hostCores(t)
	if len(host) < 2 {
		t.Skip("one core can't be split")
	}
	job := testJob("split", 1, "rank sleep", "rank sleep")
	job.Cores = 2
	state := b.started(b.start(job))
	if one, two := b.allowed(state.Processes[0].ID), b.allowed(state.Processes[1].ID); one == two || strings.ContainsAny(one+two, ",-") {
		t.Errorf("the processes have cores %s and %s, want one each", one, two)
	}
}

func TestWithoutLeasedCoresAProcessIsBoundToItsDevicesNeighbours(t *testing.T) {
	b := newBench(t)
	host := hostCores(t)
	last := fmt.Sprint(host[len(host)-1].ID)
	job := testJob("near", 1, "rank sleep", "rank sleep", "rank sleep")
	job.Processes[0].Near = last + ",8000" // the second is no core of this host
	job.Processes[1].Near = "8000"
	state := b.started(b.start(job))
	whole := b.allowed(state.Shim)
	for i, want := range []string{last, whole, whole} {
		if got := b.allowed(state.Processes[i].ID); got != want {
			t.Errorf("process %d has cores %s, want %s", i, got, want)
		}
	}
}

// A host without the memory controller runs the job, and says in the shim's log
// that nothing limits it.
func TestMissingCgroupIsNoReasonNotToRun(t *testing.T) {
	b := newBench(t)
	b.Cgroups = t.TempDir()
	job := testJob("unlimited", 1, "rank 0")
	job.MemoryMiB = 64
	handle := b.start(job)
	if state := b.wait(handle); state.Processes[0].Exit.Failed() {
		t.Errorf("got %+v", state.Processes[0].Exit)
	}
	if log := Tail(filepath.Join(handle.Dir(), shimLog), 5); !strings.Contains(log, "memory is not limited") {
		t.Errorf("the shim says %q", log)
	}
}

func TestMemoryLimitIsTheJobsOwn(t *testing.T) {
	base, err := cgroup.Base("/proc")
	if err != nil {
		t.Skip("SKIPPED, nothing limits memory here:", err)
	}
	b := newBench(t)
	b.Cgroups = base
	job := testJob("limited", 1, "rank sleep", "rank hungry")
	job.MemoryMiB = 64
	handle := b.start(job)
	state := b.wait(handle)
	for _, p := range state.Processes {
		if p.Exit.Signal != "killed" || p.Exit.OOM != OOMLimit {
			t.Errorf("%s: got %+v", p.Name, p.Exit)
		}
	}
	if _, err := os.Stat(handle.job.Cgroup); err == nil {
		t.Error("the cgroup was left behind")
	}
}

func TestWhoseMemoryWasUsedUp(t *testing.T) {
	for events, want := range map[string]OOM{
		"oom 0\noom_kill 0\n": "", "oom 1\noom_kill 2\n": OOMLimit, "oom 0\noom_kill 1\n": OOMHost,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "memory.events"), []byte(events), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := groupOOM(dir); got != want {
			t.Errorf("%q: got %q, want %q", events, got, want)
		}
	}
}

func TestProgramsThatCantStartSayWhy(t *testing.T) {
	b := newBench(t)
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(b.Root, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	gone := testJob("gone", 3, write("fine.sh", "#!/bin/sh\n"))
	gone.Processes[0].Dir = filepath.Join(b.Root, "no-such-directory")
	for says, job := range map[string]Job{
		"/no/such/python":   testJob("interpreter", 1, write("train.py", "#!/no/such/python -u\nprint()\n")),
		"names no interpre": testJob("text", 2, write("notes.txt", "hello\n")),
		"working directory": gone,
	} {
		job = onDevice(job, "VIRT-"+job.Key)
		job.Grace = time.Second
		state := b.wait(b.start(job))
		if got := state.Processes[0].Exit.Error; !strings.Contains(got, says) {
			t.Errorf("%s: got %q, want it to say %q", job.Key, got, says)
		}
	}
}
