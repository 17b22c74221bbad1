package runner

import (
	"bytes"
	"context"
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
	switch part {
	case "sleep":
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ignoring")
	case "polite":
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		fmt.Println("listening")
		<-asked
		fmt.Println("checkpoint written")
		os.Exit(0)
	case "family": // a child in a session of its own, which no group signal reaches
		child := exec.Command(os.Args[0], "rank", "stubborn")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			os.Exit(1)
		}
		fmt.Println("child", child.Process.Pid)
	case "hungry": // for memory, until somebody stops it
		for held := [][]byte{}; ; {
			held = append(held, bytes.Repeat([]byte{1}, 1<<20))
			if len(held) > 256 {
				os.Exit(0)
			}
		}
	case "environment":
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

// logged gives every process a log, as Start demands.
func (j Job) logged(root string) Job {
	for i := range j.Processes {
		j.Processes[i].Log = filepath.Join(root, j.Processes[i].Name+".log")
	}
	return j
}
