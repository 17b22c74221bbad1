package activities

import (
	"context"

	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/models"
)

// PrepareEnvironment implements models.Hosts.
func (h *Hosts) PrepareEnvironment(ctx context.Context, req models.PrepareEnvironmentRequest) (models.PreparedEnvironment, error) {
	request := pyenv.Request{Python: req.Train.Environment.Python, SystemSite: req.Train.Environment.SystemSite}
	if req.Train.Environment.Requirements.IsZero() {
		return models.PreparedEnvironment{}, nil
	}
	path, err := h.cache().object(ctx, req.Train.Environment.Requirements.Ref())
	if err != nil {
		return models.PreparedEnvironment{}, err
	}
	request.Requirements = path
	_, err = h.Environments.Build(ctx, request)
	return models.PreparedEnvironment{}, err
}

// environment builds the Python environment and puts its interpreter in the
// place of a leading "python".
func (g *gang) environment(ctx context.Context, argv []string, at *places) error {
	spec := g.req.Train.Environment
	isPython := argv[0] == "python" || argv[0] == "python3"
	if spec.Requirements.IsZero() && !isPython {
		return nil
	}
	g.phase(phaseEnvironment)
	request := pyenv.Request{Python: spec.Python, SystemSite: spec.SystemSite}
	if !spec.Requirements.IsZero() {
		path, err := g.h.cache().object(ctx, spec.Requirements.Ref())
		if err != nil {
			return err
		}
		request.Requirements = path
	}
	interpreter, err := g.h.Environments.Build(ctx, request)
	if err != nil {
		return err
	}
	if request.Requirements != "" {
		at.interpreter = interpreter
	}
	if isPython {
		argv[0] = interpreter
	}
	return nil
}
