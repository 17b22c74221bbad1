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
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
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

// cpu is the processor time of the process and its children so far.
func (p *process) cpu() time.Duration {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	ticks := 0
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil { // ended meanwhile
			continue
		}
		// After the name in brackets: state, parent, group, …, and from the 12th
		// on the ticks in user and kernel mode.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 13 || fields[2] != strconv.Itoa(p.command.Process.Pid) {
			continue
		}
		for _, field := range fields[11:13] {
			n, _ := strconv.Atoi(field) // the kernel writes numbers
			ticks += n
		}
	}
	return time.Duration(ticks) * (time.Second / ticksPerSecond)
}

// ticksPerSecond is the kernel's unit of processor time, USER_HZ.
const ticksPerSecond = 100

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
	python     string // with MLflow and ONNX Runtime
}

func newBench(ctx context.Context, dir string) (bench, error) {
	b := bench{dir: dir, mainspring: filepath.Join(dir, "mainspring")}
	var err error
	if b.tools, err = devstack.Setup(ctx, devstack.ReporterFunc(func(devstack.Progress) {})); err != nil {
		return b, err
	}
	if b.python, err = pythonWithMLflow(ctx, b.tools); err != nil {
		return b, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", b.mainspring, "./cmd/mainspring")
	if text, err := build.CombinedOutput(); err != nil {
		return b, fmt.Errorf("build mainspring (run this in the repository's root): %w\n%s", err, text)
	}
	return b, nil
}

// pythonWithMLflow is an environment of the pinned requirements that the tests
// serve MLflow models with.
func pythonWithMLflow(ctx context.Context, tools devstack.Tools) (string, error) {
	cache := os.Getenv("MAINSPRING_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(user, "mainspring")
	}
	built, err := pyenv.Builder{Cache: cache, UV: tools.UV}.Build(ctx, pyenv.Request{Requirements: filepath.Join("testenv", "pyfunc", "requirements.txt")})
	return built.Python, err
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
	address, err := devstack.FreeAddress()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, b.python, []string{
		"-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local", "-h", host, "-p", port,
	}, []string{"PATH=" + filepath.Dir(b.python) + ":" + os.Getenv("PATH"), "MLFLOW_DISABLE_TELEMETRY=true"})
	if err != nil {
		return nil, err
	}
	p.http = address
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
