package serving

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// buffers are reused between requests; large ones are left to the collector.
type buffers struct{ pool sync.Pool }

const keepBytes = 1 << 20

func (b *buffers) get() *bytes.Buffer {
	if buffer, ok := b.pool.Get().(*bytes.Buffer); ok {
		buffer.Reset()
		return buffer
	}
	return new(bytes.Buffer)
}

func (b *buffers) put(buffer *bytes.Buffer) {
	if buffer.Cap() <= keepBytes {
		b.pool.Put(buffer)
	}
}

// infer answers one prediction request.
func (s *Server) infer(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	buffer := s.buffers.get()
	defer s.buffers.put(buffer)
	status, body := s.predict(r, buffer)
	s.metrics.observe(status, time.Since(started))
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away has nobody to tell
}

// predict returns the status and the JSON of the answer, which may share the
// buffer's memory.
func (s *Server) predict(r *http.Request, buffer *bytes.Buffer) (int, []byte) {
	if !s.ready.Load() {
		return failure(http.StatusServiceUnavailable, "the model is not ready; ask GET /v2/health/ready")
	}
	if r.Header.Get("Inference-Header-Content-Length") != "" {
		return failure(http.StatusUnsupportedMediaType, "binary tensors are not supported; send the data as JSON")
	}
	if _, err := buffer.ReadFrom(io.LimitReader(r.Body, s.config.MaxBodyBytes+1)); err != nil {
		return failure(http.StatusBadRequest, fmt.Sprintf("the body can't be read: %v", err))
	}
	if int64(buffer.Len()) > s.config.MaxBodyBytes {
		return failure(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes; send smaller batches", s.config.MaxBodyBytes))
	}
	request, err := oip.ScanRequest(buffer.Bytes())
	if err != nil {
		return failure(http.StatusBadRequest, err.Error())
	}
	inputs, err := s.decode(request.Inputs)
	if err != nil {
		return failure(http.StatusBadRequest, err.Error())
	}
	wanted, err := s.wanted(request.Outputs)
	if err != nil {
		return failure(http.StatusBadRequest, err.Error())
	}
	outputs, err := s.model.Predict(r.Context(), inputs)
	if inputErr := (*InputError)(nil); errors.As(err, &inputErr) {
		return failure(http.StatusBadRequest, inputErr.Error())
	}
	if err != nil {
		return failure(http.StatusInternalServerError, err.Error())
	}
	response := oip.Response{Model: s.config.Name, Version: s.config.Version, ID: request.ID}
	response.Outputs = make([]oip.NamedTensor, 0, len(wanted))
	for _, port := range wanted {
		response.Outputs = append(response.Outputs, oip.NamedTensor{Name: port.Name, Tensor: outputs[port.Name]})
	}
	// The request has been read to the end: its buffer takes the answer.
	buffer.Reset()
	body, _, err := oip.AppendResponse(buffer.AvailableBuffer(), response)
	if err != nil {
		return failure(http.StatusInternalServerError, err.Error())
	}
	return http.StatusOK, body
}

func failure(status int, message string) (int, []byte) {
	return status, oip.AppendError(nil, message)
}

func (s *Server) decode(raw []oip.RawTensor) (map[string]Tensor, error) {
	inputs := make(map[string]Tensor, len(raw))
	for _, t := range raw {
		if _, twice := inputs[t.Name]; twice {
			return nil, inputErrorf(t.Name, "is given twice")
		}
		if len(t.Shape) > 0 && t.Shape[0] > s.config.MaxBatch {
			return nil, inputErrorf(t.Name, "has a batch of %d; at most %d are allowed", t.Shape[0], s.config.MaxBatch)
		}
		tensor, err := t.Decode()
		if err != nil {
			return nil, inputErrorf(t.Name, "%v", err)
		}
		inputs[t.Name] = tensor
	}
	return inputs, nil
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
			return nil, fmt.Errorf("output %q is not an output of the model, which has %v", name, portNames(s.config.Outputs))
		}
		ports = append(ports, s.config.Outputs[at])
	}
	return ports, nil
}
