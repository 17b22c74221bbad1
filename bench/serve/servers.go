package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/serving"
)

// process is a server under test.
type process struct {
	command *exec.Cmd
	done    chan struct{}
	ended   error // set when done is closed
	output  bytes.Buffer
	http    string // host:port
	grpc    string
}

func start(ctx context.Context, name string, args, env []string) (*process, error) {
	p := &process{command: exec.CommandContext(ctx, name, args...), done: make(chan struct{})}
	p.command.Env = append(os.Environ(), env...)
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	// A process group: MLflow's server has children.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.command.Cancel = func() error { return syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) }
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.ended = p.command.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) stop() {
	_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// await polls until ready says so, or the process ends.
func (p *process) await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", p.command.Path, p.ended, p.output.String())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", p.command.Path, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// bench is what the servers are started with.
type bench struct {
	dir        string
	mainspring string // the binary
	tools      devstack.Tools
}

func newBench(ctx context.Context, dir string) (bench, error) {
	b := bench{dir: dir, mainspring: filepath.Join(dir, "mainspring")}
	var err error
	if b.tools, err = devstack.Setup(ctx, devstack.ReporterFunc(func(devstack.Progress) {})); err != nil {
		return b, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", b.mainspring, "./cmd/mainspring")
	if text, err := build.CombinedOutput(); err != nil {
		return b, fmt.Errorf("build mainspring (run this in the repository's root): %w\n%s", err, text)
	}
	return b, nil
}

// serve starts mainspring serve.
func (b bench) serve(ctx context.Context, model string, flags ...string) (*process, error) {
	ready := filepath.Join(b.dir, fmt.Sprintf("ready-%d", time.Now().UnixNano()))
	args := append([]string{
		"serve", "--model-dir", model, "--name", "m", "--version", "1", "--ready-file", ready,
		"--addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--device", "cpu",
	}, flags...)
	p, err := start(ctx, b.mainspring, args, []string{serving.LibraryVariable + "=" + b.tools.ONNXRuntime})
	if err != nil {
		return nil, err
	}
	var lines []string
	err = p.await(ctx, func() bool {
		text, err := os.ReadFile(ready)
		lines = strings.Fields(string(text))
		return err == nil && len(lines) == 2
	})
	if err != nil {
		p.stop()
		return nil, err
	}
	p.http, p.grpc = strings.TrimPrefix(lines[0], "http://"), lines[1]
	return p, nil
}

// mlflow starts mlflow models serve, with its defaults.
func (b bench) mlflow(ctx context.Context, model string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, b.tools.MLflowPython, []string{
		"-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local", "-h", "127.0.0.1", "-p", fmt.Sprint(port),
	}, []string{"PATH=" + filepath.Dir(b.tools.MLflowPython) + ":" + os.Getenv("PATH"), "MLFLOW_DISABLE_TELEMETRY=true"})
	if err != nil {
		return nil, err
	}
	p.http = fmt.Sprint("127.0.0.1:", port)
	err = p.await(ctx, func() bool {
		response, err := http.Get("http://" + p.http + "/ping")
		if err != nil {
			return false
		}
		return errors.Join(response.Body.Close()) == nil && response.StatusCode == http.StatusOK
	})
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}
