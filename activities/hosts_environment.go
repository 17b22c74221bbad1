package activities

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/models"
)

// PrepareEnvironment implements models.Hosts. It proves what can be proven
// without a device: that the code unpacks, the environment can be built, the
// secrets are on this host, and there is something to start.
func (h *Hosts) PrepareEnvironment(ctx context.Context, req models.PrepareEnvironmentRequest) (models.PreparedEnvironment, error) {
	defer pulse(ctx, func() (models.RankProgress, int) {
		return models.RankProgress{Phase: phaseEnvironment}, 0
	})()
	var prepared models.PreparedEnvironment
	if len(req.Train.Command) == 0 {
		return prepared, &models.Error{Kind: models.KindInvalidSpec, Subject: "train.command", Message: "is missing"}
	}
	if _, err := h.resolveSecrets("train", req.Train.Env); err != nil {
		return prepared, err
	}
	code, err := os.MkdirTemp("", "mainspring-code-*")
	if err != nil {
		return prepared, err
	}
	defer func() { _ = runner.Remove(code) }() // best effort: a temporary directory
	if archive := req.Train.Code; archive.URI != "" {
		if err := h.cache().code(ctx, archive.Ref(), filepath.Join(code, codeDir)); err != nil {
			return prepared, err
		}
	}
	environment := pyenv.Environment{}
	if needsPython(req.Train.Environment, req.Train.Command) {
		log := h.environmentLog(ctx, req.Run, "environment.log")
		environment, err = h.buildEnvironment(ctx, req.Train.Environment, log)
		prepared = models.PreparedEnvironment{Digest: environment.Digest, Reused: environment.Reused, LogURI: log.stored()}
		if err != nil {
			return prepared, err
		}
	}
	return prepared, h.findProgram(req.Train, filepath.Join(code, codeDir), environment)
}

// needsPython reports whether a program runs in a Python environment.
func needsPython(environment models.Environment, command []string) bool {
	return !environment.Requirements.IsZero() || isPython(command)
}

func isPython(command []string) bool {
	return len(command) > 0 && (command[0] == "python" || command[0] == "python3")
}

// buildEnvironment fetches the requirements and builds or finds their
// environment.
func (h *Hosts) buildEnvironment(ctx context.Context, spec models.Environment, log *buildLog) (pyenv.Environment, error) {
	request := pyenv.Request{Python: spec.Python, SystemSite: spec.SystemSite, Log: log.follow}
	if !spec.Requirements.IsZero() {
		path, err := h.cache().object(ctx, spec.Requirements.Ref())
		if err != nil {
			return pyenv.Environment{}, err
		}
		request.Requirements = path
	}
	built, err := h.Environments.Build(ctx, request)
	log.finish(built, err)
	return built, err
}

// environment builds the Python environment and puts its interpreter in the
// place of a leading "python".
func (g *gang) environment(ctx context.Context, argv []string, at *places) error {
	if !needsPython(g.req.Train.Environment, g.req.Train.Command) {
		return nil
	}
	g.phase(phaseEnvironment)
	log := g.h.environmentLog(ctx, g.req.Run, "environment-"+g.h.Node+".log")
	log.unlessReused = true // PrepareEnvironment, or an earlier attempt, has stored it
	built, err := g.h.buildEnvironment(ctx, g.req.Train.Environment, log)
	if err != nil {
		return err
	}
	if built.Digest != "" {
		at.interpreter = built.Python
	}
	if isPython(argv) {
		argv[0] = built.Python
	}
	return nil
}

// findProgram wants the command's program to exist, as the shim will look for
// it, and a script of Python's to be in the code.
func (h *Hosts) findProgram(train models.TrainSpec, code string, environment pyenv.Environment) error {
	command := strings.Join(train.Command, " ")
	if isPython(train.Command) {
		if len(train.Command) < 2 || !strings.HasSuffix(train.Command[1], ".py") {
			return nil
		}
		_, err := os.Stat(within(code, train.Command[1]))
		return commandNotFound(command, train.Command[1], err)
	}
	name := train.Command[0]
	if strings.ContainsRune(name, '/') {
		_, err := exec.LookPath(within(code, name))
		return commandNotFound(command, name, err)
	}
	folders := filepath.SplitList(h.baseEnvironment()["PATH"])
	if value, ok := train.Env["PATH"]; ok {
		folders = filepath.SplitList(value)
	}
	if environment.Digest != "" {
		folders = append([]string{filepath.Dir(environment.Python)}, folders...)
	}
	for _, folder := range folders {
		if _, err := exec.LookPath(filepath.Join(folder, name)); err == nil && filepath.IsAbs(folder) {
			return nil
		}
	}
	return commandNotFound(command, name, fmt.Errorf("searched in %s", strings.Join(folders, string(os.PathListSeparator))))
}

func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func commandNotFound(command, name string, cause error) error {
	if cause == nil {
		return nil
	}
	var path *fs.PathError
	if errors.As(cause, &path) { // the directory is a temporary one and says nothing
		cause = path.Err
	}
	return &models.Error{
		Kind: models.KindTrainingFailed, Subject: "train.command", Message: fmt.Sprintf("command not found: %q: %s", command, name), Cause: cause,
		Hint: "a path is relative to train.code; any other program must be in the environment or in the host's PATH",
	}
}

// buildLog copies the log of an environment's build to the run's artifacts
// while it grows, so that a long build can be watched. A log that can't be
// stored is no reason to fail.
type buildLog struct {
	ctx          context.Context //nolint:containedctx // it bounds this one build
	store        artifact.Store
	uri          string // empty: nowhere
	unlessReused bool

	mu   sync.Mutex
	path string
	size int64 // of what was stored; 0: nothing was
	stop func()
}

func (h *Hosts) environmentLog(ctx context.Context, run models.Run, name string) *buildLog {
	return &buildLog{ctx: ctx, store: h.Store, uri: strings.TrimSuffix(run.ArtifactURI, "/") + "/logs/" + name, stop: func() {}}
}

// follow stores the file's new content every two seconds.
func (l *buildLog) follow(path string) {
	l.path = path
	if l.unlessReused {
		return
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(2 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				l.put()
			case <-done:
				return
			}
		}
	}()
	l.stop = func() { close(done); <-ended }
}

// finish stores the whole log, of a failed build too.
func (l *buildLog) finish(built pyenv.Environment, err error) {
	l.stop()
	if l.path != "" && (err != nil || !built.Reused || !l.unlessReused) {
		l.put()
	}
}

func (l *buildLog) put() {
	const limit = 30 * time.Second
	if l.uri == "" {
		return // it stays on this host
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), limit)
	defer cancel()
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == l.size {
		return // another host's builder has built it, or nothing is new
	}
	bucket, key, err := artifact.ParseURI(l.uri)
	if err == nil {
		_, err = artifact.PutFile(ctx, l.store.InBucket(bucket), key, l.path)
	}
	if err != nil {
		slog.Warn("build log not stored", "to", l.uri, "error", err)
		return
	}
	l.mu.Lock()
	l.size = info.Size()
	l.mu.Unlock()
}

// stored is the log's URI once it was stored.
func (l *buildLog) stored() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size == 0 {
		return ""
	}
	return l.uri
}
