package serving

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// question is an inference request that has been read, whichever protocol it
// came by.
type question struct {
	inputs map[string]Tensor
	wanted []models.ModelPort
}

// refusal is a failed request's answer. status is that of HTTP; gRPC has a code
// for each.
type refusal struct {
	status  int
	message string
}

// Error implements error.
func (r *refusal) Error() string { return r.message }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// statusClientGone is for a request whose caller did not wait for the answer;
// nobody reads it but the metrics.
const statusClientGone = 499

// admit takes one of the places for requests in hand. The caller calls release
// when it got one.
func (s *Server) admit() *refusal {
	if !s.ready.Load() {
		return refuse(http.StatusServiceUnavailable, "the model is not ready; ask GET /v2/health/ready")
	}
	if s.pending.Add(1) > s.config.MaxPending {
		s.pending.Add(-1)
		return refuse(http.StatusServiceUnavailable, "%d requests are waiting already; try again in a moment", s.config.MaxPending)
	}
	s.metrics.pending.Inc()
	return nil
}

func (s *Server) release() {
	s.pending.Add(-1)
	s.metrics.pending.Dec()
}

// named fails unless the server has the model and the version; an empty version
// means any.
func (s *Server) named(model, version string) *refusal {
	if model != s.config.Name || (version != "" && version != s.config.Version) {
		return refuse(http.StatusNotFound, "this server has model %q version %q only", s.config.Name, s.config.Version)
	}
	return nil
}

// put adds an input. decode is not called for one that can't be used.
func (s *Server) put(inputs map[string]Tensor, name string, shape []int64, decode func() (Tensor, error)) error {
	if _, twice := inputs[name]; twice {
		return inputErrorf(name, "is given twice")
	}
	if len(shape) > 0 && shape[0] > s.config.MaxBatch {
		return inputErrorf(name, "has a batch of %d; at most %d are allowed", shape[0], s.config.MaxBatch)
	}
	if len(inputs) >= len(s.config.Inputs) && !slices.ContainsFunc(s.config.Inputs, func(p models.ModelPort) bool { return p.Name == name }) {
		return inputErrorf(name, "is not an input of the model, which has %v", portNames(s.config.Inputs))
	}
	tensor, err := decode()
	if err != nil {
		return inputErrorf(name, "%v", err)
	}
	inputs[name] = tensor
	return nil
}

// wanted are the outputs that the request asks for, by default all.
func (s *Server) wanted(names []string) ([]models.ModelPort, error) {
	if len(names) == 0 {
		return s.config.Outputs, nil
	}
	ports := make([]models.ModelPort, 0, len(names))
	for _, name := range names {
		at := slices.IndexFunc(s.config.Outputs, func(p models.ModelPort) bool { return p.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("output %s is not an output of the model, which has %v", strconv.Quote(name), portNames(s.config.Outputs))
		}
		ports = append(ports, s.config.Outputs[at])
	}
	return ports, nil
}

// answer predicts.
func (s *Server) answer(ctx context.Context, q question) ([]oip.NamedTensor, *refusal) {
	outputs, err := s.model.Predict(ctx, q.inputs)
	inputErr := (*InputError)(nil)
	switch {
	case errors.As(err, &inputErr):
		return nil, refuse(http.StatusBadRequest, "%s", inputErr.Error())
	case err != nil && ctx.Err() != nil:
		return nil, refuse(statusClientGone, "the caller did not wait for the answer")
	case err != nil:
		return nil, refuse(http.StatusInternalServerError, "%s", err.Error())
	}
	tensors := make([]oip.NamedTensor, len(q.wanted))
	for i, port := range q.wanted {
		tensors[i] = oip.NamedTensor{Name: port.Name, Tensor: outputs[port.Name]}
	}
	return tensors, nil
}
