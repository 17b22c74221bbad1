package supervise

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// deadline returns a context that ends after d and is never cancelled earlier.
func deadline(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	_ = cancel
	return ctx
}

func newSupervisor(t *testing.T, options Options) *Supervisor {
	t.Helper()
	s := New(options)
	t.Cleanup(func() { s.Stop(deadline(10 * time.Second)) })
	return s
}

// alive is true for a process that exists and is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, 5*time.Millisecond, what)
}

func TestKilledProcessIsStartedAgain(t *testing.T) {
	s := newSupervisor(t, Options{})
	require.NoError(t, s.Launch(testProcess(t.TempDir(), "one", "sleep")))
	require.NoError(t, s.AwaitReady(deadline(10*time.Second), "one"))
	first := s.Status()[0]
	require.True(t, alive(first.PID))

	require.NoError(t, s.Kill(deadline(10*time.Second), "one"))
	require.NoError(t, s.AwaitReady(deadline(10*time.Second), "one"))

	second := s.Status()[0]
	require.NotEqual(t, first.PID, second.PID)
	require.Equal(t, 2, second.Starts)
	require.Contains(t, second.LastExit, "signal: killed")
	require.False(t, alive(first.PID))
}

func TestCrashingProcessIsGivenUpWithItsLastWords(t *testing.T) {
	s := newSupervisor(t, Options{})
	p := testProcess(t.TempDir(), "one", "crash")
	p.Restart.Limit = 3
	p.Ready = func(context.Context) error { return errors.New("never") }
	require.NoError(t, s.Launch(p))

	err := s.AwaitReady(deadline(10*time.Second), "one")

	require.ErrorIs(t, err, ErrGaveUp)
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "cannot open the flux capacitor")
	require.ErrorIs(t, s.Wait(deadline(10*time.Second)), ErrGaveUp)
	require.Equal(t, 3, s.Status()[0].Starts)
	require.Equal(t, Failed, s.Status()[0].State)
}

func TestProcessThatNeverBecomesReadyIsGivenUp(t *testing.T) {
	s := newSupervisor(t, Options{})
	p := testProcess(t.TempDir(), "one", "sleep")
	p.Ready, p.ReadyWithin = TCPReady("127.0.0.1:1"), 50*time.Millisecond
	p.Restart.Limit = 2
	require.NoError(t, s.Launch(p))

	err := s.AwaitReady(deadline(10*time.Second), "one")

	require.ErrorIs(t, err, ErrGaveUp)
	require.ErrorContains(t, err, "was not ready within 50ms")
}

func TestMissingProgramIsAnError(t *testing.T) {
	s := newSupervisor(t, Options{})
	p := testProcess(t.TempDir(), "one", "sleep")
	p.Argv = []string{"/nonexistent/program"}
	p.Restart.Never = true
	require.NoError(t, s.Launch(p))
	err := s.AwaitReady(deadline(10*time.Second), "one")
	require.ErrorIs(t, err, ErrGaveUp)
	require.ErrorContains(t, err, "/nonexistent/program")
}

func TestStopGoesYoungestFirstAndInsists(t *testing.T) {
	var mu sync.Mutex
	var stopped []string
	s := newSupervisor(t, Options{OnChange: func(status Status) {
		mu.Lock()
		defer mu.Unlock()
		if status.State == Stopped {
			stopped = append(stopped, status.Name)
		}
	}})
	dir := t.TempDir()
	stubborn := testProcess(dir, "stubborn", "stubborn")
	stubborn.Grace = 100 * time.Millisecond
	for _, p := range []Process{testProcess(dir, "old", "sleep"), stubborn, testProcess(dir, "young", "sleep")} {
		require.NoError(t, s.Launch(p))
		require.NoError(t, s.AwaitReady(deadline(10*time.Second), p.Name))
	}
	eventually(t, "stubborn ignores SIGTERM", func() bool { return logTail(stubborn.LogFile) == "up" })
	before := s.Status()

	patience := deadline(10 * time.Second)
	s.Stop(patience)

	require.NoError(t, patience.Err(), "the grace period is the process's own")
	require.Equal(t, []string{"young", "stubborn", "old"}, stopped)
	for _, status := range before {
		require.False(t, alive(status.PID), status.Name)
	}
	require.ErrorIs(t, s.Launch(testProcess(dir, "late", "sleep")), ErrStopped)
}

func TestGroupEndsWithItsLeader(t *testing.T) {
	s := newSupervisor(t, Options{})
	p := testProcess(t.TempDir(), "one", "family")
	p.Restart.Never = true
	require.NoError(t, s.Launch(p))
	var grandchild int
	eventually(t, "the family is complete", func() bool {
		grandchild, _ = strconv.Atoi(logTail(p.LogFile))
		return grandchild > 0 && alive(grandchild)
	})

	// The leader alone is killed, as the kernel does when memory is short.
	require.NoError(t, syscall.Kill(s.Status()[0].PID, syscall.SIGKILL))

	eventually(t, "the grandchild is gone", func() bool { return !alive(grandchild) })
}

func TestRestartIsOrderlyAndNoFailure(t *testing.T) {
	s := newSupervisor(t, Options{})
	p := testProcess(t.TempDir(), "one", "sleep")
	p.Restart.Limit = 1 // a single failure would be the end
	require.NoError(t, s.Launch(p))
	require.NoError(t, s.AwaitReady(deadline(10*time.Second), "one"))
	require.NoError(t, s.Restart(deadline(10*time.Second), "one"))
	require.Equal(t, 2, s.Status()[0].Starts)
	require.Equal(t, "restarted on request", s.Status()[0].LastExit)
	require.ErrorIs(t, s.Restart(deadline(time.Second), "two"), ErrUnknownProcess)
}

func TestPauseDoublesUpToTheLongest(t *testing.T) {
	r := Restart{First: 200 * time.Millisecond, Longest: time.Second}
	var pauses []time.Duration
	for failures := 1; failures <= 5; failures++ {
		pauses = append(pauses, r.pause(failures))
	}
	require.Equal(t, []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, time.Second, time.Second}, pauses)
}

func TestKilledSupervisorLeavesNoChild(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = []string{roleVariable + "=supervisor", "SUPERVISE_TEST_DIR=" + t.TempDir()}
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	var children []int
	lines := bufio.NewScanner(output)
	for lines.Scan() && lines.Text() != "launched" {
		pid, err := strconv.Atoi(lines.Text())
		require.NoError(t, err)
		children = append(children, pid)
	}
	require.Len(t, children, 2)
	for _, pid := range children {
		require.True(t, alive(pid))
	}

	require.NoError(t, command.Process.Kill())
	_ = command.Wait()

	for _, pid := range children {
		eventually(t, "the child has ended with its supervisor", func() bool { return !alive(pid) })
	}
}

func TestChildOutlivesTheThreadsOfItsSupervisor(t *testing.T) {
	command := exec.CommandContext(deadline(30*time.Second), os.Args[0])
	command.Env = []string{roleVariable + "=turnover"}
	output, err := command.CombinedOutput()
	require.NoError(t, err, string(output))
}
