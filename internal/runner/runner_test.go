package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestJobRunsOnceAndStartingItAgainAttaches(t *testing.T) {
	b := newBench(t)
	job := testJob("once", 1, "rank 0", "rank 0")
	state := b.wait(b.start(job))
	if !state.Finished || state.Lost || state.Stopping != "" {
		t.Errorf("got %+v", state)
	}
	for _, p := range state.Processes {
		if p.Exit == nil || p.Exit.Failed() {
			t.Errorf("%s: got %+v, want exit status 0", p.Name, p.Exit)
		}
	}
	again, attached, err := b.Start(context.Background(), job)
	if err != nil || !attached {
		t.Fatalf("second start: attached %v, %v", attached, err)
	}
	if got := b.wait(again); got.Processes[0].ID != state.Processes[0].ID {
		t.Error("the process ran a second time")
	}
	if log := b.log("once", 0); log != "rank 0\n" {
		t.Errorf("log is %q", log)
	}
}

func TestEnvironmentIsWholeAndNeverOnDisk(t *testing.T) {
	b := newBench(t)
	job := testJob("env", 1, "rank environment")
	job.Processes[0].Env = []string{"API_TOKEN=hush-hush"}
	handle := b.start(job)
	b.wait(handle)
	want := "rank environment\nAPI_TOKEN=hush-hush\n" + mark(handle.Dir()) + "\n"
	if got := b.log("env", 0); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	files, err := filepath.Glob(filepath.Join(handle.Dir(), "*"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if data, err := os.ReadFile(file); err != nil || strings.Contains(string(data), "hush") {
			t.Errorf("%s holds the secret, or %v", file, err)
		}
	}
}

func TestJobOutlivesItsAgent(t *testing.T) {
	b := newBench(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(self, "agent", b.Root)
	agent.Dir = b.Root
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	if n, err := out.Read(line); err != nil || string(line[:n]) != "started\n" {
		t.Fatalf("agent says %q, %v", line[:n], err)
	}
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := agent.Wait(); err == nil {
		t.Fatal("the agent was not killed")
	}

	handle, attached, err := b.Start(context.Background(), testJob("held", 1, "rank sleep").logged(b.Root))
	if err != nil || !attached {
		t.Fatalf("attached %v, %v", attached, err)
	}
	state := b.started(handle)
	if !state.Processes[0].ID.Alive() || !state.Shim.Alive() {
		t.Fatalf("the rank died with the agent: %+v", state)
	}
	state, err = handle.Stop(context.Background(), "test is over")
	if err != nil {
		t.Fatal(err)
	}
	b.gone(state)
	if exit := state.Processes[0].Exit; exit.Signal != "terminated" || !exit.Asked || state.Stopping != "test is over" {
		t.Errorf("got %+v, %+v", state, exit)
	}
}

func TestStopWaitsForThePoliteAndKillsTheStubborn(t *testing.T) {
	b := newBench(t)
	job := testJob("stop", 1, "rank polite", "rank stubborn")
	job.Grace = 500 * time.Millisecond
	handle := b.start(job)
	b.eventually("both have installed their handlers", func() bool {
		return strings.Contains(b.log("stop", 0), "listening") && strings.Contains(b.log("stop", 1), "ignoring")
	})
	began := time.Now()
	state, err := handle.Stop(context.Background(), "cancelled")
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < job.Grace || took > 5*time.Second {
		t.Errorf("took %s, want a little more than the grace of %s", took, job.Grace)
	}
	if exit := state.Processes[0].Exit; exit.Failed() || !strings.Contains(b.log("stop", 0), "checkpoint written") {
		t.Errorf("the polite one could not finish: %+v", exit)
	}
	if exit := state.Processes[1].Exit; exit.Signal != "killed" || !exit.Asked {
		t.Errorf("the stubborn one: %+v", exit)
	}
	b.gone(state)
}

func TestOneFailureEndsTheOthers(t *testing.T) {
	b := newBench(t)
	state := b.wait(b.start(testJob("fail", 1, "rank sleep", "rank 3")))
	if exit := state.Processes[1].Exit; exit.Code != 3 || exit.Asked {
		t.Errorf("the failing one: %+v", exit)
	}
	if exit := state.Processes[0].Exit; exit.Signal != "terminated" || !exit.Asked {
		t.Errorf("its peer: %+v", exit)
	}
	if !state.Processes[0].Exit.At.After(state.Processes[1].Exit.At) {
		t.Error("the failure is not recorded as the first")
	}
	b.gone(state)
}

func TestKilledProcessIsToldFromAStoppedOne(t *testing.T) {
	b := newBench(t)
	handle := b.start(testJob("kill", 1, "rank sleep", "rank sleep"))
	state := b.started(handle)
	if err := unix.Kill(state.Processes[1].ID.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	state = b.wait(handle)
	if exit := state.Processes[1].Exit; exit.Signal != "killed" || exit.Asked {
		t.Errorf("the killed one: %+v", exit)
	}
	if exit := state.Processes[0].Exit; !exit.Asked {
		t.Errorf("its peer: %+v", exit)
	}
}

func TestMissingProgramStartsNothing(t *testing.T) {
	b := newBench(t)
	state := b.wait(b.start(testJob("missing", 1, "rank sleep", "no-such-program --fast", "rank sleep")))
	if exit := state.Processes[1].Exit; !strings.Contains(exit.Error, "no-such-program") || !strings.Contains(exit.Error, "PATH is /usr/bin:/bin") {
		t.Errorf("got %+v", exit)
	}
	if exit := state.Processes[0].Exit; exit.Signal == "" || !exit.Asked {
		t.Errorf("the one before it: %+v", exit)
	}
	if p := state.Processes[2]; p.ID.PID != 0 || p.Exit == nil {
		t.Errorf("the one after it: %+v", p)
	}
	b.gone(state)
}

func TestNothingOfAFamilyIsLeft(t *testing.T) {
	for _, how := range []string{"stop", "kill the shim"} {
		b := newBench(t)
		job := testJob("family", 1, "rank family")
		job.Grace = 200 * time.Millisecond
		handle := b.start(job)
		b.eventually("the child runs", func() bool { return strings.Contains(b.log("family", 0), "child") })
		_, text, _ := strings.Cut(b.log("family", 0), "child ")
		pid, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			t.Fatal(err)
		}
		child, ok := identify(pid)
		if !ok {
			t.Fatal("no child")
		}
		state := b.started(handle)
		if how == "stop" {
			state, err = handle.Stop(context.Background(), "test")
			if state.Lost {
				t.Error("the shim did not end the family by itself and had to be killed")
			}
		} else {
			if err := unix.Kill(state.Shim.PID, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			state = b.wait(handle)
			if !state.Lost || state.Processes[0].Exit.Signal != "killed" || state.Processes[0].Exit.Asked {
				t.Errorf("%s: got %+v", how, state)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		b.gone(state)
		b.eventually(how+": the grandchild is gone", func() bool { return !child.Alive() })
	}
}

func TestOrphanEndsByItself(t *testing.T) {
	b := newBench(t)
	job := testJob("orphan", 1, "rank sleep")
	job.Orphan = 300 * time.Millisecond
	handle := b.start(job)
	b.eventually("the job has ended", func() bool {
		_, ended, err := handle.Poll() // does not touch
		return ended && err == nil
	})
	if state, _, _ := handle.Poll(); !strings.Contains(state.Stopping, "nobody watched") {
		t.Errorf("got %+v", state)
	}

	job = testJob("watched", 2, "rank sleep")
	job.Orphan = 400 * time.Millisecond
	handle = b.start(job)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if state, err := handle.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a watched job ended: %+v, %v", state, err)
	}
}

func TestConcurrentStartsAgreeOnOneShim(t *testing.T) {
	b := newBench(t)
	const starters = 6
	type outcome struct {
		shim     ProcessID
		attached bool
		err      error
	}
	outcomes := make(chan outcome, starters)
	job := testJob("race", 1, "rank sleep").logged(b.Root)
	for range starters {
		go func() {
			handle, attached, err := b.Start(context.Background(), job)
			if err != nil {
				outcomes <- outcome{err: err}
				return
			}
			state, _, err := handle.Poll()
			outcomes <- outcome{state.Shim, attached, err}
		}()
	}
	shims, fresh := map[ProcessID]bool{}, 0
	for range starters {
		o := <-outcomes
		if o.err != nil {
			t.Fatal(o.err)
		}
		shims[o.shim] = true
		if !o.attached {
			fresh++
		}
	}
	if len(shims) != 1 || fresh != 1 {
		t.Errorf("%d shims, %d fresh starts; want one of each", len(shims), fresh)
	}
}

func TestStopAllEndsEveryJob(t *testing.T) {
	b := newBench(t)
	var states []State
	for i := range 3 {
		job := testJob(fmt.Sprintf("job-%d", i), 1, "rank sleep")
		job.Devices = []string{fmt.Sprintf("VIRT-n-%d", i)}
		states = append(states, b.started(b.start(job)))
	}
	if err := StopAll(context.Background(), b.Root); err != nil {
		t.Fatal(err)
	}
	for _, state := range states {
		b.gone(state)
	}
}

func TestRecycledNumberIsAnotherProcess(t *testing.T) {
	self, ok := identify(os.Getpid())
	if !ok || !self.Alive() {
		t.Fatalf("%+v is not alive", self)
	}
	if (ProcessID{PID: self.PID, Start: self.Start - 1}).Alive() {
		t.Error("a process with another start counts as the same")
	}
}

// A process that the kernel holds on to must not hold up everyone else for ever.
func TestWhatCantBeKilledIsGivenUp(t *testing.T) {
	if err := killAll(func() []int { return []int{1 << 22} }, 50*time.Millisecond); !errors.Is(err, ErrStuck) {
		t.Errorf("got %v", err)
	}
	sleeper := exec.Command("/bin/sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	id, _ := identify(sleeper.Process.Pid)
	alive := func() []int {
		if id.Alive() {
			return []int{id.PID}
		}
		return nil
	}
	if err := killAll(alive, 10*time.Second); err != nil {
		t.Error(err)
	}
	if err := sleeper.Wait(); err == nil {
		t.Error("the process was not killed")
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if got := Tail(path, 3); got != "" {
		t.Errorf("no file: %q", got)
	}
	long := strings.Repeat("x", 200<<10) + "\n"
	if err := os.WriteFile(path, []byte(long+"one\ntwo\nthree\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Tail(path, 2); got != "two\nthree" {
		t.Errorf("got %q", got)
	}
}

// An agent that was killed while it fetched what a job needs has left copies of
// data that nobody else would ever remove.
func TestDirectoriesOfJobsThatWereNeverStartedGo(t *testing.T) {
	b := newBench(t)
	long, lately := b.Dir("long-ago"), b.Dir("lately")
	for _, dir := range []string{long, lately} {
		if err := os.MkdirAll(filepath.Join(dir, "input"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	then := time.Now().Add(-2 * keepEnded)
	if err := os.Chtimes(long, then, then); err != nil {
		t.Fatal(err)
	}
	b.wait(b.start(testJob("next", 1, "rank")))
	if _, err := os.Stat(long); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", long, err)
	}
	for _, dir := range []string{lately, b.Dir("next")} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
}
