package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// The headers of an inference request and its answer.
const (
	// HeaderRequestID names the request; later labels refer to it. Default: the
	// body's id, else a new one. Answered.
	HeaderRequestID = "Mainspring-Request-Id"
	// HeaderEventTime is the request's event time in RFC 3339. Default: now.
	HeaderEventTime = "Mainspring-Event-Time"
	// HeaderStickyKey keeps all requests with the same value, such as a user's
	// number, on the same arm while the canary's share grows.
	HeaderStickyKey = "Mainspring-Sticky-Key"
	// HeaderVersion and HeaderArm are answered: the version that predicted, and
	// its role.
	HeaderVersion = "Mainspring-Version"
	HeaderArm     = "Mainspring-Arm"
)

// inference is a checked request.
type inference struct {
	endpoint  *endpoint
	route     *route
	id        string
	started   time.Time
	eventTime time.Time
	request   oip.RawRequest
	body      []byte
	sticky    string
}

// infer answers one prediction request.
func (g *Gateway) infer(w http.ResponseWriter, r *http.Request) {
	body := g.buffers.get()
	var sending atomic.Int32
	defer func() {
		if sending.Load() == 0 {
			g.buffers.put(body)
		}
	}()
	in, status, err := g.accept(r, body)
	if err != nil {
		writeError(w, status, err.Error())
		return
	}
	drawn := in.route.draw(in.point())
	if drawn == nil {
		writeError(w, http.StatusServiceUnavailable, fmt.Sprintf("endpoint %q: the route gives no version any traffic", in.endpoint.name))
		return
	}
	ticket := in.endpoint.log.admit(in.eventTime.UnixMicro())
	result, ok := g.forward(r.Context(), drawn, in.route.champion, call{
		method: http.MethodPost, path: "/v2/models/" + in.endpoint.name + "/infer",
		header: forwardedHeader(r, in.id), body: in.body, sending: &sending,
	})
	if !ok {
		in.endpoint.log.finish(ticket, nil)
		return
	}
	defer g.buffers.put(result.body)
	latency := time.Since(in.started)
	result.arm.counters.answered(result.status, latency)
	row := in.row(result, latency)
	if in.endpoint.log.finish(ticket, &row) == g.config.FlushRows {
		g.flushSoon()
	}
	header := w.Header()
	header.Set("Content-Type", result.contentType)
	header.Set("Content-Length", strconv.Itoa(result.body.Len()))
	header.Set(HeaderRequestID, in.id)
	header.Set(HeaderVersion, result.arm.Version)
	header.Set(HeaderArm, string(result.arm.Role))
	w.WriteHeader(result.status)
	_, _ = w.Write(result.body.Bytes()) // a client that went away has nobody to tell
}

// accept reads and checks a request. What it refuses never reaches an arm and
// counts for none.
func (g *Gateway) accept(r *http.Request, buffer *bytes.Buffer) (in inference, status int, err error) {
	in.started = time.Now()
	if in.endpoint, in.route, status, err = g.find(r.PathValue("endpoint")); err != nil {
		return in, status, err
	}
	if r.Header.Get("Inference-Header-Content-Length") != "" {
		return in, http.StatusUnsupportedMediaType, fmt.Errorf("binary tensors are not supported; send the data as JSON")
	}
	if _, err := buffer.ReadFrom(io.LimitReader(r.Body, g.config.MaxBodyBytes+1)); err != nil {
		return in, http.StatusBadRequest, fmt.Errorf("the body can't be read: %w", err)
	}
	if in.body = buffer.Bytes(); int64(len(in.body)) > g.config.MaxBodyBytes {
		return in, http.StatusRequestEntityTooLarge, fmt.Errorf("the body has more than %d bytes; send smaller batches", g.config.MaxBodyBytes)
	}
	if in.request, err = oip.ScanRequest(in.body); err != nil {
		return in, http.StatusBadRequest, err
	}
	in.eventTime = in.started
	if text := r.Header.Get(HeaderEventTime); text != "" {
		if in.eventTime, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return in, http.StatusBadRequest, fmt.Errorf("header %s: %q is no time; write it like 2013-01-01T05:15:00Z", HeaderEventTime, text)
		}
	}
	in.sticky = r.Header.Get(HeaderStickyKey)
	if in.id = r.Header.Get(HeaderRequestID); in.id == "" {
		in.id = in.request.ID
	}
	if in.id == "" {
		in.id = g.newRequestID()
	}
	return in, 0, nil
}

// find returns an endpoint and the route it has now.
func (g *Gateway) find(name string) (*endpoint, *route, int, error) {
	e, known := (*g.known.Load())[name]
	switch {
	case !known && g.lastPoll.Load() == nil:
		return nil, nil, http.StatusServiceUnavailable, fmt.Errorf("the gateway has not read any routes yet; try again in a moment")
	case !known:
		return nil, nil, http.StatusNotFound, fmt.Errorf("no endpoint %q; has a version been deployed to it?", name)
	}
	current := e.route.Load()
	if current == nil {
		return nil, nil, http.StatusServiceUnavailable, fmt.Errorf("endpoint %q has no route yet; try again in a moment", name)
	}
	return e, current, 0, nil
}

func (in *inference) point() float64 {
	if in.sticky != "" {
		return place(in.sticky)
	}
	return placeRequest(in.id, in.route.Generation)
}

// row is the request's line in the inference log.
func (in *inference) row(result answer, latency time.Duration) models.InferenceRow {
	row := models.InferenceRow{
		ID: in.id, EventTime: in.eventTime.UnixMicro(), Time: in.started.Add(latency).UnixMicro(),
		Endpoint: in.endpoint.name, Version: result.arm.Version, Role: string(result.arm.Role),
		Generation: in.route.Generation, ArmShare: result.arm.share,
		Status: int32(result.status), LatencyUS: latency.Microseconds(),
		Inputs: tensorsJSON(in.request.Inputs, result.status), Outputs: "{}",
	}
	if result.status == http.StatusOK {
		if response, err := oip.ScanResponse(result.body.Bytes()); err == nil {
			row.Outputs = tensorsJSON(response.Outputs, result.status)
		}
	}
	return row
}

// tensorsJSON writes tensors as the log has them. The values of an answered
// request were read by the model server; those of a refused one may be
// anything, and are left out unless they are JSON.
func tensorsJSON(tensors []oip.RawTensor, status int) string {
	text, err := oip.AppendTensors(nil, tensors)
	if err != nil || (status != http.StatusOK && !json.Valid(text)) {
		return "{}"
	}
	return string(text)
}

// forwardedHeader has what a model server needs to see.
func forwardedHeader(r *http.Request, id string) http.Header {
	header := http.Header{"Content-Type": {"application/json"}, HeaderRequestID: {id}}
	for _, name := range []string{"Traceparent", "Tracestate"} {
		if value := r.Header.Get(name); value != "" {
			header[name] = []string{value}
		}
	}
	return header
}
