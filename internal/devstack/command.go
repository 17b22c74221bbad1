package devstack

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// outputLines is how much of a failed program's output goes into its error.
const outputLines = 12

// command is a program that set-up runs to its end.
type command struct {
	argv []string
	dir  string
	env  []string // nil: inherit
}

// run returns the standard output. The error of a program that fails has the
// end of its output. When ctx ends, the whole process group does.
func (c command) run(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 3 * time.Second
	var stdout strings.Builder
	last := &lastLines{limit: outputLines}
	cmd.Stdout, cmd.Stderr = &stdout, last
	err := cmd.Run()
	if ctx.Err() != nil {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whoever ignored SIGTERM
		}
		return "", context.Cause(ctx)
	}
	if err != nil {
		_, _ = last.Write([]byte(stdout.String()))
		return "", errors.Join(fmt.Errorf("%s: %w", strings.Join(c.argv, " "), err), last.err())
	}
	return stdout.String(), nil
}

// lastLines keeps the end of what is written to it.
type lastLines struct {
	limit int

	mu   sync.Mutex
	text string
}

// Write implements io.Writer.
func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(l.text+string(p), "\n")
	if extra := len(lines) - l.limit - 1; extra > 0 {
		lines = lines[extra:]
	}
	l.text = strings.Join(lines, "\n")
	return len(p), nil
}

func (l *lastLines) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text := strings.TrimSpace(l.text); text != "" {
		return errors.New(text)
	}
	return nil
}
