package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/models"
)

// The test binary plays every part: the shim, an agent, and the processes of a
// job, which are told by their first argument what to do.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "shim":
		if err := RunShim(context.Background(), os.Args[3], os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "agent":
		playAgent(os.Args[2])
	case "rank":
		playRank(os.Args[2])
	default:
		os.Exit(m.Run())
	}
}

// playAgent starts a job and then does nothing, until it is killed.
func playAgent(root string) {
	if _, _, err := testRunner(root).Start(context.Background(), testJob("held", 1, "rank sleep").logged(root)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("started")
	time.Sleep(time.Minute)
}

func playRank(part string) {
	fmt.Println("rank", part)
	switch {
	case part == "sleep":
	case part == "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ignoring")
	case part == "polite":
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		fmt.Println("listening")
		<-asked
		fmt.Println("checkpoint written")
		os.Exit(0)
	case part == "family": // a child in a session of its own, which no group signal reaches
		child := exec.Command(os.Args[0], "rank", "stubborn")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			os.Exit(1)
		}
		fmt.Println("child", child.Process.Pid)
	case part == "environment":
		fmt.Println(strings.Join(os.Environ(), "\n"))
		os.Exit(0)
	default:
		code, _ := strconv.Atoi(part)
		os.Exit(code)
	}
	time.Sleep(time.Minute)
}

func testRunner(root string) Runner {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Runner{Root: root, Shim: []string{self, "shim"}}
}

// fastExit: a binary built with -race sleeps for a second before it exits.
const fastExit = "GORACE=atexit_sleep_ms=0"

// testJob has one process per command; each is "rank <part>" or a program.
func testJob(key string, token int64, commands ...string) Job {
	job := Job{Key: key, Token: token, Devices: []string{"VIRT-n-0"}, Grace: 10 * time.Second, Settle: 300 * time.Millisecond}
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	for i, command := range commands {
		argv := strings.Fields(command)
		if argv[0] == "rank" {
			argv = append([]string{self}, argv...)
		}
		job.Processes = append(job.Processes, Process{
			Name: fmt.Sprintf("rank-%d", i), Argv: argv, Dir: os.TempDir(), Env: []string{"PATH=/usr/bin:/bin", fastExit},
		})
	}
	return job
}

// bench is a root whose jobs end with the test.
type bench struct {
	*testing.T
	Runner
}

func newBench(t *testing.T) bench {
	t.Helper()
	root := t.TempDir()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := StopAll(ctx, root); err != nil {
			t.Error(err)
		}
	})
	return bench{t, testRunner(root)}
}

func (b bench) start(job Job) *Handle {
	b.Helper()
	for i := range job.Processes {
		job.Processes[i].Log = filepath.Join(b.Root, job.Key+"-"+job.Processes[i].Name+".log")
	}
	handle, attached, err := b.Start(context.Background(), job)
	if err != nil {
		b.Fatal(err)
	}
	if attached {
		b.Fatalf("job %s was there before", job.Key)
	}
	return handle
}

func (b bench) log(job string, rank int) string {
	data, err := os.ReadFile(filepath.Join(b.Root, fmt.Sprintf("%s-rank-%d.log", job, rank)))
	if err != nil && !os.IsNotExist(err) {
		b.Fatal(err)
	}
	return string(data)
}

func (b bench) wait(handle *Handle) State {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	state, err := handle.Wait(ctx)
	if err != nil {
		b.Fatal(err)
	}
	return state
}

// state waits for the first state that has every process running.
func (b bench) started(handle *Handle) State {
	b.Helper()
	var last State
	b.eventually("all processes run", func() bool {
		state, _, err := handle.Poll()
		last = state
		for _, p := range state.Processes {
			if p.ID.PID == 0 {
				return false
			}
		}
		return err == nil && len(state.Processes) > 0
	})
	return last
}

func (b bench) eventually(what string, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	b.Fatalf("never: %s", what)
}

func (b bench) gone(state State) {
	b.Helper()
	for _, p := range state.Processes {
		if p.ID.Alive() {
			b.Errorf("%s still runs", p.Name)
		}
	}
	b.eventually("the shim is gone", func() bool { return !state.Shim.Alive() })
}

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

// logged gives every process a log, as Start demands.
func (j Job) logged(root string) Job {
	for i := range j.Processes {
		j.Processes[i].Log = filepath.Join(root, j.Processes[i].Name+".log")
	}
	return j
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
