package serving

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
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

// infer answers one prediction request over HTTP.
func (s *Server) infer(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	buffer := s.buffers.get()
	defer s.buffers.put(buffer)
	status := http.StatusOK
	body, jsonLength, refused := s.predict(w, r, buffer)
	header := w.Header()
	if refused != nil {
		status, body = refused.status, oip.AppendError(nil, refused.message)
	}
	s.metrics.observe(overHTTP, status, time.Since(started))
	header["Content-Type"] = jsonContent
	switch {
	case jsonLength > 0:
		header["Content-Type"] = binaryContent
		header.Set(oip.HeaderLength, strconv.Itoa(jsonLength))
	case status == http.StatusServiceUnavailable:
		header["Retry-After"] = retryAfter
	}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away has nobody to tell
}

// Header values that are the same in every answer.
var (
	jsonContent   = []string{"application/json"}
	binaryContent = []string{"application/octet-stream"}
	retryAfter    = []string{"1"}
)

// predict returns the body of the answer, which may share the buffer's memory,
// and the length of the JSON in it if binary data follows.
func (s *Server) predict(w http.ResponseWriter, r *http.Request, buffer *bytes.Buffer) (body []byte, jsonLength int, refused *refusal) {
	if refused := s.admit(); refused != nil {
		return nil, 0, refused
	}
	defer s.release()
	if refused := s.read(w, r, buffer); refused != nil {
		return nil, 0, refused
	}
	request, err := oip.ScanBinaryRequest(buffer.Bytes(), r.Header.Get(oip.HeaderLength))
	if err != nil {
		return nil, 0, refuse(http.StatusBadRequest, "%s", err.Error())
	}
	q := question{inputs: make(map[string]Tensor, len(s.config.Inputs))}
	for _, t := range request.Inputs {
		if err := s.put(q.inputs, t.Name, t.Shape, t.Decode); err != nil {
			return nil, 0, refuse(http.StatusBadRequest, "%s", err.Error())
		}
	}
	if q.wanted, err = s.wanted(request.Outputs); err != nil {
		return nil, 0, refuse(http.StatusBadRequest, "%s", err.Error())
	}
	response := oip.Response{Model: s.config.Name, Version: s.config.Version, ID: request.ID}
	if response.Outputs, refused = s.answer(r.Context(), q); refused != nil {
		return nil, 0, refused
	}
	for i := range response.Outputs {
		response.Outputs[i].Binary = request.WantsBinary(response.Outputs[i].Name)
	}
	// The request has been read to the end: its buffer takes the answer.
	buffer.Reset()
	body, jsonLength, err = oip.AppendResponse(buffer.AvailableBuffer(), response)
	if err != nil {
		return nil, 0, refuse(http.StatusInternalServerError, "%s", err.Error())
	}
	return body, jsonLength, nil
}

// bodyTime is how long a caller may take to send the body.
const bodyTime = time.Minute

// read fills the buffer with the body.
func (s *Server) read(w http.ResponseWriter, r *http.Request, buffer *bytes.Buffer) *refusal {

	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return refuse(http.StatusUnsupportedMediaType, "the body is encoded with %s; send it as it is", encoding)
	}
	limit := s.config.MaxBodyBytes
	if r.ContentLength > limit {
		return refuse(http.StatusRequestEntityTooLarge, "the body has %d bytes; at most %d are allowed: send smaller batches", r.ContentLength, limit)
	}
	if r.ContentLength > 0 {
		buffer.Grow(int(min(r.ContentLength, keepBytes)) + bytes.MinRead)
	}
	// The server's own ReadTimeout would also end a prediction that takes longer.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTime)) // not every writer has one
	defer func() { _ = connection.SetReadDeadline(time.Time{}) }()
	if _, err := buffer.ReadFrom(io.LimitReader(r.Body, limit+1)); err != nil {
		return refuse(http.StatusBadRequest, "the body can't be read: %v", err)
	}
	if int64(buffer.Len()) > limit {
		return refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes; send smaller batches", limit)
	}
	return nil
}
