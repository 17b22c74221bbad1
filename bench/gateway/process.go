package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a program that runs for the length of the measurement. Its output
// is in a file.
type process struct {
	name    string
	command *exec.Cmd
	output  string
	ended   chan struct{}
}

// start runs a program in dir with further environment variables.
func start(dir, name string, env []string, argv ...string) (*process, error) {
	path := filepath.Join(dir, name+".log")
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir, command.Env = dir, append(os.Environ(), env...)
	command.Stdout, command.Stderr = file, file
	command.SysProcAttr = endWithParent()
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, command: command, output: path, ended: make(chan struct{})}
	go func() {
		_ = command.Wait() // stop asks for the end; an early one shows in the measurement
		close(p.ended)
	}()
	return p, nil
}

// stop ends the process, by force after five seconds.
func (p *process) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(5 * time.Second):
		return p.command.Process.Kill()
	}
}

// lines waits until the file has so many lines and returns them.
func (p *process) lines(ctx context.Context, file string, n int) ([]string, error) {
	var lines []string
	err := p.await(ctx, func() bool {
		text, err := os.ReadFile(file)
		if err != nil || bytes.Count(text, []byte("\n")) < n {
			return false
		}
		lines = strings.Split(string(text), "\n")[:n]
		return true
	})
	return lines, err
}

// answers waits until the URL is answered with 200.
func (p *process) answers(ctx context.Context, method, url, body string) error {
	last := "nobody answered"
	err := p.await(ctx, func() bool {
		request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			return false
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		text, err := io.ReadAll(io.LimitReader(response.Body, 500))
		last = fmt.Sprintf("%s: %s", response.Status, text)
		return errors.Join(err, response.Body.Close()) == nil && response.StatusCode == http.StatusOK
	})
	if err != nil {
		return fmt.Errorf("%w(%s)", err, last)
	}
	return nil
}

func (p *process) await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for !ready() {
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended:\n%s", p.name, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w:\n%s", p.name, ctx.Err(), p.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// tail is the end of the process's output.
func (p *process) tail() string {
	text, err := os.ReadFile(p.output)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}
