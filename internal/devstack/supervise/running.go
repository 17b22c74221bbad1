package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// running is one incarnation of a process.
type running struct {
	command *exec.Cmd
	exited  chan struct{} // closed once the child is reaped
	exit    string        // how it ended; read after exited

	mu     sync.Mutex
	reaped bool // no signal may be sent any more
}

func (s *starter) launch(spec Process) (*running, error) {
	log, err := os.OpenFile(spec.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log file: %w", err)
	}
	defer func() { _ = log.Close() }()
	command := exec.Command(spec.Argv[0], spec.Argv[1:]...)
	command.Env, command.Dir = spec.Env, spec.Dir
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = groupAttributes()
	if err := s.start(command); err != nil {
		return nil, err
	}
	r := &running{command: command, exited: make(chan struct{})}
	go r.reap()
	return r, nil
}

// reap kills what the leader left behind in its group, where the system
// allows it before the leader's ID becomes free for others.
func (r *running) reap() {
	pid := r.command.Process.Pid
	var err error
	if awaitExit(pid) {
		r.signal(syscall.SIGKILL)
		r.mu.Lock()
		r.reaped = true
		err = r.command.Wait()
	} else {
		err = r.command.Wait()
		r.mu.Lock()
		r.reaped = true
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	r.mu.Unlock()
	r.exit = "exited with status 0"
	if err != nil {
		r.exit = "ended: " + err.Error()
	}
	close(r.exited)
}

// signal sends to the whole group; a group that is gone is no error.
func (r *running) signal(signal syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.reaped {
		_ = syscall.Kill(-r.command.Process.Pid, signal)
	}
}

// end asks the group to leave, insists after the grace period, and returns
// when the leader is reaped.
func (r *running) end(signal syscall.Signal, grace time.Duration) {
	r.signal(signal)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-r.exited:
		return
	case <-timer.C:
	}
	r.signal(syscall.SIGKILL)
	<-r.exited
}

// tailBytes bounds how much of a log is put into an error.
const tailBytes = 2048

// logTail returns the last whole lines of a log, "" if it can't be read.
func logTail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	from := max(0, info.Size()-tailBytes)
	text := make([]byte, info.Size()-from)
	n, _ := file.ReadAt(text, from)
	tail := string(text[:n])
	if from > 0 {
		_, tail, _ = strings.Cut(tail, "\n")
	}
	return strings.TrimSpace(tail)
}
