package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// roleVariable makes the test binary play a child instead of running tests.
const roleVariable = "SUPERVISE_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}

// play is what a child does in each role. No role outlives its test: all end
// with the supervisor, and by themselves after a minute at the latest.
func play(role string) int {
	const long = time.Minute
	switch role {
	case "sleep":
		time.Sleep(long)
	case "stubborn": // ignores the request to leave
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("up")
		time.Sleep(long)
	case "crash":
		fmt.Println("cannot open the flux capacitor")
		return 3
	case "family": // has a child in its own group
		child := exec.Command(os.Args[0])
		child.Env = []string{roleVariable + "=stubborn"}
		if err := child.Start(); err != nil {
			return 1
		}
		fmt.Println(child.Process.Pid)
		time.Sleep(long)
	case "supervisor":
		return superviseForever()
	case "turnover": // ends many threads while its child should live on
		return startUnderTurnover()
	}
	return 0
}

// superviseForever runs two children, prints their IDs, and waits to be killed.
func superviseForever() int {
	s := New(Options{})
	for _, name := range []string{"one", "two"} {
		if err := s.Launch(testProcess(os.Getenv("SUPERVISE_TEST_DIR"), name, "stubborn")); err != nil {
			return 1
		}
		if err := s.AwaitReady(deadline(10*time.Second), name); err != nil {
			return 1
		}
	}
	for _, status := range s.Status() {
		fmt.Println(status.PID)
	}
	fmt.Println("launched")
	time.Sleep(time.Minute)
	return 0
}

// startUnderTurnover exits 0 when children have survived the end of every
// thread that the runtime could take away. It uses the starter alone: in a
// supervisor, a thread that waits for a child is busy and so may live on by
// mere luck.
func startUnderTurnover() int {
	runtime.LockOSThread() // the first thread never ends; keep others off it
	starter := newStarter()
	var children []*exec.Cmd
	for range 6 {
		child := exec.Command(os.Args[0])
		child.Env = []string{roleVariable + "=sleep"}
		child.SysProcAttr = groupAttributes()
		if err := starter.start(child); err != nil {
			return 1
		}
		children = append(children, child)
	}
	// All at once, so that every idle thread is taken; none is unlocked, so
	// that all of them end.
	var locked, ended sync.WaitGroup
	release := make(chan struct{})
	locked.Add(100)
	for range 100 {
		ended.Go(func() {
			runtime.LockOSThread()
			locked.Done()
			<-release
		})
	}
	locked.Wait()
	close(release)
	ended.Wait()
	time.Sleep(200 * time.Millisecond)
	survivors := 0
	for _, child := range children {
		if alive(child.Process.Pid) {
			survivors++
		}
		_ = child.Process.Kill()
		_ = child.Wait()
	}
	fmt.Println(survivors, "of", len(children), "children are alive")
	if survivors != len(children) {
		return 1
	}
	return 0
}

func testProcess(dir, name, role string) Process {
	return Process{
		Name: name, Argv: []string{os.Args[0]}, Env: []string{roleVariable + "=" + role},
		LogFile: filepath.Join(dir, name+".log"),
		Restart: Restart{First: time.Millisecond, Longest: 10 * time.Millisecond},
	}
}
