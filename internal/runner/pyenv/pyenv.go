// Package pyenv builds Python environments with uv, once per content on each
// host.
//
// An environment is named by the digest of everything that decides what is in
// it: the requirements file, the interpreter it is built on, and whether it
// sees the host's own packages. It is built in place, because environments
// can't be moved; a marker written last tells a finished one from what a killed
// builder left. Any number of builders may share a cache.
package pyenv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/models"
)

// Builder builds environments below Cache.
type Builder struct {
	Cache string // a directory that all agents of a user share
	// UV is the uv program. Default: uv, searched in PATH.
	UV string
}

// Request describes an environment.
type Request struct {
	Requirements string // path of the requirements file; "" for none
	Python       string // interpreter to build on. Default: python3
	SystemSite   bool   // see the interpreter's own packages
}

const marker = ".mainspring-complete"

// Build returns the path of the environment's interpreter. Without
// requirements it is the request's own interpreter. Failures are *models.Error
// with KindEnvironmentFailed, but for the end of ctx.
func (b Builder) Build(ctx context.Context, request Request) (string, error) {
	if request.Python == "" {
		request.Python = "python3"
	}
	python, err := exec.LookPath(request.Python)
	if err != nil {
		return "", failed(request.Python, "the Python interpreter is not on this host",
			"install it, or name another one in train.environment.python", err)
	}
	if request.Requirements == "" {
		return python, nil
	}
	requirements, err := os.ReadFile(request.Requirements)
	if err != nil {
		return "", fmt.Errorf("read the requirements: %w", err)
	}
	version, err := exec.CommandContext(ctx, python, "-VV").CombinedOutput()
	if err != nil {
		return "", b.explain(ctx, request.Python, "the Python interpreter does not run", version, err)
	}
	dir := filepath.Join(b.Cache, "envs", digest(requirements, []byte(python), version, strconv.AppendBool(nil, request.SystemSite)))
	interpreter := filepath.Join(dir, "bin", "python")
	if complete(dir) {
		return interpreter, nil
	}
	release, err := b.lock(ctx, dir)
	if err != nil {
		return "", err
	}
	defer release()
	if complete(dir) { // built by whoever had the lock
		return interpreter, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := b.fill(ctx, dir, python, request, requirements); err != nil {
		return "", err
	}
	return interpreter, os.WriteFile(filepath.Join(dir, marker), nil, 0o644)
}

// fill creates the environment and installs into it. Hashes are enforced for
// every requirement as soon as one has them.
func (b Builder) fill(ctx context.Context, dir, python string, request Request, requirements []byte) error {
	uv, err := b.program()
	if err != nil {
		return err
	}
	create := []string{"venv", "--quiet", "--no-project", "--python", python}
	if request.SystemSite {
		create = append(create, "--system-site-packages")
	}
	if err := b.run(ctx, uv, append(create, dir)...); err != nil {
		return err
	}
	install := []string{"pip", "install", "--no-progress", "--python", filepath.Join(dir, "bin", "python"), "--requirements", request.Requirements}
	if bytes.Contains(requirements, []byte("--hash=")) {
		install = append(install, "--require-hashes")
	}
	// Compiled once here rather than by every rank at its start.
	return b.run(ctx, uv, append(install, "--compile-bytecode")...)
}

func (b Builder) program() (string, error) {
	name := b.UV
	if name == "" {
		name = "uv"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", failed(name, "the program that builds Python environments is not on this host",
			"install uv (https://docs.astral.sh/uv), or name it in MAINSPRING_UV", err)
	}
	return path, nil
}

// run runs uv in a process group of its own, so that cancelling ends its
// children too.
func (b Builder) run(ctx context.Context, uv string, args ...string) error {
	command := exec.CommandContext(ctx, uv, args...)
	command.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	command.Cancel = func() error { return unix.Kill(-command.Process.Pid, unix.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	output, err := command.CombinedOutput()
	if err != nil {
		return b.explain(ctx, "train.environment", "uv "+strings.Join(args[:2], " ")+" failed", output, err)
	}
	return nil
}

// explain ends the message with the installer's last lines.
func (b Builder) explain(ctx context.Context, subject, message string, output []byte, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	const keep = 15
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	tail := strings.Join(lines[max(len(lines)-keep, 0):], "\n")
	return failed(subject, message+":\n"+tail+"\n", "correct the requirements file, or see whether this host reaches the package index", err)
}

func failed(subject, message, hint string, cause error) error {
	return &models.Error{Kind: models.KindEnvironmentFailed, Subject: subject, Message: message, Hint: hint, Cause: cause}
}

func complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, marker))
	return err == nil
}

func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// lock waits until no other builder works on dir.
func (b Builder) lock(ctx context.Context, dir string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(dir+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			file.Close()
			return nil, &fs.PathError{Op: "lock", Path: file.Name(), Err: err}
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
