package activities

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"github.com/mainspring-ml/mainspring/models"
)

// program is what a job runs.
type program struct {
	argv []string
	dir  string
	env  variables
}

// ownership is what a program of the user's brings along: the code in whose
// directory it runs, the environment it needs, and its variables.
type ownership struct {
	section     string // of the spec that names all this, for errors
	dir         string // the job's
	code        models.Source
	environment models.Environment
	env         map[string]string
	cores       int // that it has to itself
	log         *buildLog
	building    func() // called before an environment is built or found
}

// ownProgram gives a program its code, its environment and its variables. What
// the engine itself has to say is set afterwards, and wins.
func (h *Hosts) ownProgram(ctx context.Context, runs *program, own ownership) error {
	runs.dir = filepath.Join(own.dir, codeDir)
	for _, dir := range []string{codeDir, workDir} {
		if err := os.MkdirAll(filepath.Join(own.dir, dir), 0o700); err != nil {
			return err
		}
	}
	if own.code.URI != "" {
		if err := h.cache().code(ctx, own.code.Ref(), runs.dir); err != nil {
			return inSection(err, own.section+".code")
		}
	}
	secrets, err := h.resolveSecrets(own.section, own.env)
	if err != nil {
		return err
	}
	runs.env = h.baseEnvironment()
	runs.env.set("OMP_NUM_THREADS="+strconv.Itoa(max(1, own.cores)), "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1")
	if err := h.interpreter(ctx, runs, own); err != nil {
		return err
	}
	maps.Copy(runs.env, secrets)
	return nil
}

// interpreter builds the Python environment, or finds it as the training has
// left it, and puts its interpreter in the place of a leading "python".
func (h *Hosts) interpreter(ctx context.Context, runs *program, own ownership) error {
	if !needsPython(own.environment, runs.argv) {
		return nil
	}
	own.building()
	built, err := h.buildEnvironment(ctx, own.environment, own.log)
	if err != nil {
		return err
	}
	if built.Digest != "" {
		bin := filepath.Dir(built.Python)
		runs.env.set("VIRTUAL_ENV="+filepath.Dir(bin), "PATH="+bin+string(os.PathListSeparator)+runs.env["PATH"])
	}
	if isPython(runs.argv) {
		runs.argv[0] = built.Python
	}
	return nil
}

// inSection names the field of the spec that an error is about.
func inSection(err error, field string) error {
	var rich *models.Error
	if !errors.As(err, &rich) || rich.Kind != models.KindEnvironmentFailed {
		return err
	}
	named := *rich
	named.Subject = field
	return &named
}
