package gateway

import (
	"bytes"
	"context"
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

// inference is a checked request, however it came.
type inference struct {
	endpoint  *endpoint
	route     *route
	drawn     *arm
	id        string
	started   time.Time
	eventTime time.Time
	request   oip.RawRequest
	header    http.Header // of the caller, in HTTP's names
	body      []byte
	sticky    string
	// sending counts who may still read body after the answer.
	sending *atomic.Int32
}

// infer answers one prediction request over HTTP.
func (g *Gateway) infer(w http.ResponseWriter, r *http.Request) {
	body := g.buffers.get()
	var sending atomic.Int32
	defer func() {
		if sending.Load() == 0 {
			g.buffers.put(body)
		}
	}()
	in := inference{started: time.Now(), header: r.Header, sending: &sending}
	status, err := g.read(r, body)
	if err == nil {
		in.body = body.Bytes()
		status, err = g.accept(r.PathValue("endpoint"), &in)
	}
	if err != nil {
		writeError(w, status, err.Error())
		return
	}
	result, ok := g.answer(r.Context(), &in)
	if !ok {
		return
	}
	defer g.buffers.put(result.body)
	header := w.Header()
	header.Set("Content-Type", result.contentType)
	header.Set("Content-Length", strconv.Itoa(result.body.Len()))
	header.Set(HeaderRequestID, in.id)
	header.Set(HeaderVersion, result.arm.Version)
	header.Set(HeaderArm, string(result.arm.Role))
	w.WriteHeader(result.status)
	_, _ = w.Write(result.body.Bytes()) // a client that went away has nobody to tell
}

// answer takes an accepted request to a server, counts and logs it. ok is false
// when the caller went away. The answer's body goes back to g.buffers.
func (g *Gateway) answer(ctx context.Context, in *inference) (result answer, ok bool) {
	ticket := in.endpoint.log.admit(in.eventTime.UnixMicro())
	result, ok = g.forward(ctx, in.drawn, in.route.champion, call{
		method: http.MethodPost, path: "/v2/models/" + in.endpoint.name + "/infer",
		header: forwardedHeader(in.header, in.id), body: in.body, sending: in.sending,
	})
	if !ok {
		in.endpoint.log.finish(ticket, nil)
		return result, false
	}
	latency := time.Since(in.started)
	result.arm.counters.answered(result.status, latency)
	var row *models.InferenceRow
	if in.endpoint.log.wants(in.id, in.route.Traffic.Log) {
		made := in.row(result, latency)
		row = &made
	}
	if in.endpoint.log.finish(ticket, row) == g.config.FlushRows {
		g.flushSoon()
	}
	return result, true
}

// read takes in the body of a request over HTTP.
func (g *Gateway) read(r *http.Request, buffer *bytes.Buffer) (status int, err error) {
	if _, _, status, err := g.find(r.PathValue("endpoint")); err != nil {
		return status, err
	}
	if _, err := buffer.ReadFrom(io.LimitReader(r.Body, g.config.MaxBodyBytes+1)); err != nil {
		return http.StatusBadRequest, fmt.Errorf("the body can't be read: %w", err)
	}
	if int64(buffer.Len()) > g.config.MaxBodyBytes {
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the body has more than %d bytes; send smaller batches", g.config.MaxBodyBytes)
	}
	return 0, nil
}

// accept checks a request, of which started, header and body are known, and
// draws its arm. What it refuses never reaches an arm and counts for none.
func (g *Gateway) accept(name string, in *inference) (status int, err error) {
	if in.endpoint, in.route, status, err = g.find(name); err != nil {
		return status, err
	}
	if in.header.Get("Inference-Header-Content-Length") != "" {
		return http.StatusUnsupportedMediaType, fmt.Errorf("binary tensors are not supported; send the data as JSON")
	}
	if in.request, err = oip.ScanRequest(in.body); err != nil {
		return http.StatusBadRequest, err
	}
	in.eventTime = in.started
	if text := in.header.Get(HeaderEventTime); text != "" {
		if in.eventTime, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return http.StatusBadRequest, fmt.Errorf("header %s: %q is no time; write it like 2013-01-01T05:15:00Z", HeaderEventTime, text)
		}
	}
	in.sticky = in.header.Get(HeaderStickyKey)
	if in.id = in.header.Get(HeaderRequestID); in.id == "" {
		in.id = in.request.ID
	}
	if in.id == "" {
		in.id = g.newRequestID()
	}
	if in.drawn = in.route.draw(in.point()); in.drawn == nil {
		return http.StatusServiceUnavailable, fmt.Errorf("endpoint %q: the route gives no version any traffic", in.endpoint.name)
	}
	return 0, nil
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
		LogShare: logShare(in.route.Traffic.Log),
		Inputs:   tensorsJSON(in.request.Inputs, result.status, in.route.Traffic.Log.Sensitive), Outputs: "{}",
	}
	if result.status == http.StatusOK {
		if response, err := oip.ScanResponse(result.body.Bytes()); err == nil {
			row.Outputs = tensorsJSON(response.Outputs, result.status, in.route.Traffic.Log.Sensitive)
		}
	}
	return row
}

// forwardedHeader has what a model server needs to see.
func forwardedHeader(from http.Header, id string) http.Header {
	header := http.Header{"Content-Type": {"application/json"}, HeaderRequestID: {id}}
	for _, name := range []string{"Traceparent", "Tracestate"} {
		if value := from.Get(name); value != "" {
			header[name] = []string{value}
		}
	}
	return header
}
