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
	// Log is told the path of the build's log before anything is written to it;
	// nil: nobody reads it.
	Log func(path string)
}

// Environment is what a program runs in.
type Environment struct {
	Python string // path of the interpreter
	Digest string // names the environment; empty: the host's own interpreter
	// Log is the path of what the installer said; empty: nothing was built.
	Log    string
	Reused bool // it was there already, or another builder has built it meanwhile
}

// marker is written last. In an environment without it, a builder was killed.
const marker = ".mainspring-complete"

// Build returns an environment, which it builds when there is none of its
// digest. Without requirements it is the request's own interpreter. Failures are
// *models.Error with KindEnvironmentFailed, but for the end of ctx.
func (b Builder) Build(ctx context.Context, request Request) (Environment, error) {
	if request.Python == "" {
		request.Python = "python3"
	}
	python, err := exec.LookPath(request.Python)
	if err != nil {
		return Environment{}, failed(request.Python, "the Python interpreter is not on this host",
			"install it, or name another one in train.environment.python", err)
	}
	if request.Requirements == "" {
		return Environment{Python: python}, nil
	}
	requirements, err := os.ReadFile(request.Requirements)
	if err != nil {
		return Environment{}, fmt.Errorf("read the requirements: %w", err)
	}
	version, err := exec.CommandContext(ctx, python, "-VV").CombinedOutput()
	if err != nil {
		return Environment{}, explain(ctx, request.Python, "the Python interpreter does not run", string(version), err)
	}
	name := digest(requirements, []byte(python), version, strconv.AppendBool(nil, request.SystemSite))
	dir := filepath.Join(b.Cache, "envs", name)
	built := Environment{Python: filepath.Join(dir, "bin", "python"), Digest: name, Log: dir + ".log"}
	if request.Log != nil {
		request.Log(built.Log)
	}
	built.Reused, err = b.ensure(ctx, dir, python, request, requirements)
	return built, err
}

// ensure builds the environment in dir unless it is complete. The log tells of
// the newest build; it is written by whoever holds the lock.
func (b Builder) ensure(ctx context.Context, dir, python string, request Request, requirements []byte) (reused bool, err error) {
	if complete(dir) {
		return true, touch(dir)
	}
	release, err := lock(ctx, dir)
	if err != nil {
		return false, err
	}
	defer release()
	if complete(dir) { // built by whoever had the lock
		return true, touch(dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return false, err
	}
	log, err := os.Create(dir + ".log")
	if err != nil {
		return false, err
	}
	defer log.Close()
	if err := b.fill(ctx, dir, python, request, requirements, log); err != nil {
		return false, err
	}
	return false, os.WriteFile(filepath.Join(dir, marker), nil, 0o644)
}

// touch dates the marker, which shows when an environment was last used.
func touch(dir string) error {
	now := time.Now()
	return os.Chtimes(filepath.Join(dir, marker), now, now)
}

// fill creates the environment and installs into it. Hashes are enforced for
// every requirement as soon as one has them.
func (b Builder) fill(ctx context.Context, dir, python string, request Request, requirements []byte, log *os.File) error {
	uv, err := b.program()
	if err != nil {
		return err
	}
	create := []string{"venv", "--quiet", "--no-project", "--python", python}
	if request.SystemSite {
		create = append(create, "--system-site-packages")
	}
	if err := run(ctx, log, uv, append(create, dir)...); err != nil {
		return err
	}
	install := []string{"pip", "install", "--no-progress", "--python", filepath.Join(dir, "bin", "python"), "--requirements", request.Requirements}
	if bytes.Contains(requirements, []byte("--hash=")) {
		install = append(install, "--require-hashes")
	}
	// Compiled once here rather than by every rank at its start.
	return run(ctx, log, uv, append(install, "--compile-bytecode")...)
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
func lock(ctx context.Context, dir string) (release func(), err error) {
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
