package gateway

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
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

// maxAhead is how far a caller's clock may be ahead. The watermark follows event
// times and never goes back: one request from the far future would promise
// everything until then.
const maxAhead = 24 * time.Hour

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
	version   string // named by the caller; empty: the draw decides
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
	in := inference{header: r.Header, version: r.PathValue("version"), sending: &sending}
	status, err := g.read(w, r, body)
	if err == nil {
		// A caller that is slow to send its body tells nothing about a version.
		in.started, in.body = time.Now(), body.Bytes()
		status, err = g.accept(r.PathValue("endpoint"), &in)
	}
	if err != nil {
		oip.WriteError(w, status, err.Error())
		return
	}
	result, ok := g.answer(r.Context(), &in)
	if !ok {
		return
	}
	defer g.buffers.put(result.body)
	writeAnswer(w, in.id, result)
}

// answer takes an accepted request to a server, counts and logs it. ok is false
// when the caller went away. The answer's body goes back to g.buffers.
func (g *Gateway) answer(ctx context.Context, in *inference) (result answer, ok bool) {
	ticket := in.endpoint.log.admit(in.eventTime.UnixMicro())
	through := g.newPassage(in.route, in.drawn, in.version != "")
	request := call{
		method: http.MethodPost, path: in.endpoint.inferPath,
		header: forwardedHeader(in.header, in.id), body: in.body, sending: in.sending,
	}
	if result, ok = g.forward(ctx, &through, request); !ok {
		in.endpoint.log.finish(ticket, nil)
		return result, false
	}
	now := time.Now()
	latency := now.Sub(in.started)
	took := latency
	if !result.turned.IsZero() { // who answered owes nothing for the wait for another version
		took = now.Sub(result.turned)
	}
	theirs := result.arm.counters.judge(result.status, took)
	theirs.failed = theirs.failed || through.crashed
	g.copyToShadow(ctx, in, request, theirs)
	in.count(&through, result, took, now)
	g.finish(in, ticket, func() models.InferenceRow { return in.row(result, now, latency) })
	return result, true
}

// count counts an answer, unless the caller chose the version: who asks for one
// may ask for anything, and the judge compares what was drawn by chance.
func (in *inference) count(through *passage, result answer, latency time.Duration, now time.Time) {
	if in.version != "" {
		result.arm.counters.named.Add(1)
		return
	}
	through.count(result, latency, now)
}

// finish ends a request, and makes and logs its row if the sample has it.
func (g *Gateway) finish(in *inference, ticket int, row func() models.InferenceRow) {
	log := in.endpoint.log
	if !log.wants(in.id, in.route.Traffic.Log) {
		log.finish(ticket, nil)
		return
	}
	made := row()
	if log.finish(ticket, &made) == g.config.FlushRows {
		g.flushSoon()
	}
}

// bodyTime is how long a caller may take to send the body.
const bodyTime = time.Minute

// read takes in the body of a request over HTTP.
func (g *Gateway) read(w http.ResponseWriter, r *http.Request, buffer *bytes.Buffer) (status int, err error) {
	if _, _, status, err := g.find(r.PathValue("endpoint")); err != nil {
		return status, err
	}
	var from io.Reader = r.Body
	if r.ContentLength > 0 && r.ContentLength <= g.config.MaxBodyBytes {
		// net/http gives no more than that; who only announces much gets no memory.
		buffer.Grow(int(min(r.ContentLength, keepBytes)) + bytes.MinRead)
	} else {
		from = io.LimitReader(from, g.config.MaxBodyBytes+1)
	}
	// The server's own ReadTimeout would also end an answer that takes longer.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTime)) // not every writer has one
	defer func() { _ = connection.SetReadDeadline(time.Time{}) }()
	if _, err := buffer.ReadFrom(from); err != nil {
		return http.StatusBadRequest, fmt.Errorf("the body can't be read: %w", err)
	}
	if int64(buffer.Len()) > g.config.MaxBodyBytes {
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the body has more than %d bytes; send smaller batches", g.config.MaxBodyBytes)
	}
	return 0, nil
}

// accept checks a request, of which started, header, body and version are
// known, and draws its arm. What it refuses never reaches an arm and counts for
// none.
func (g *Gateway) accept(name string, in *inference) (status int, err error) {
	if in.endpoint, in.route, status, err = g.find(name); err != nil {
		return status, err
	}
	text, err := plain(in.header, in.body, g.config.MaxBodyBytes)
	if err != nil {
		return http.StatusBadRequest, fmt.Errorf("the body can't be read: %w", err)
	}
	if in.request, err = oip.ScanBinaryRequest(text, in.header.Get(oip.HeaderLength)); err != nil {
		return http.StatusBadRequest, err
	}
	if err := g.name(in, in.request.ID); err != nil {
		return http.StatusBadRequest, err
	}
	return in.draw(stickyKey(in.route.Traffic.Sticky, in.header, in.request.Inputs))
}

// name gives a request its ID and its event time. own is the ID in the body.
func (g *Gateway) name(in *inference, own string) (err error) {
	in.eventTime = in.started
	if text := in.header.Get(HeaderEventTime); text != "" {
		if in.eventTime, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return fmt.Errorf("header %s: %q is no time; write it like 2013-01-01T05:15:00Z", HeaderEventTime, text)
		}
		// Go's zero time is one that the caller did not set. A monitor that begins
		// with the first event would count centuries of blocks from there.
		if !in.eventTime.After(time.Time{}) {
			return fmt.Errorf("header %s: %s is no event's time; leave it out where the time is not known", HeaderEventTime, text)
		}
		if in.eventTime.After(in.started.Add(maxAhead)) {
			return fmt.Errorf("header %s: %s is in the future, and it is %s now", HeaderEventTime, text, in.started.UTC().Format(time.RFC3339))
		}
	}
	in.id = cmp.Or(in.header.Get(HeaderRequestID), in.header.Get(HeaderTheirRequestID), own)
	if in.id == "" {
		in.id = g.newRequestID()
	}
	return checkRequestID(in.id)
}

// draw chooses the arm: the version that the caller named, else by the sticky
// key, else by the request.
func (in *inference) draw(sticky string) (status int, err error) {
	switch {
	case in.version != "":
		if in.drawn = in.route.version(in.version); in.drawn == nil {
			return http.StatusNotFound, fmt.Errorf("endpoint %q has no version %q in its route; leave /versions/%s out to get the one in use", in.endpoint.name, in.version, in.version)
		}
		return 0, nil
	case sticky != "":
		in.drawn = in.route.draw(place(sticky))
	default:
		in.drawn = in.route.draw(placeRequest(in.id, in.route.Generation))
	}
	if in.drawn == nil {
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

// row is the request's line in the inference log; the answer was given at the
// moment now. Drawn is empty when the caller named the version: such a request
// was not drawn, and is no evidence about anything.
func (in *inference) row(result answer, now time.Time, latency time.Duration) models.InferenceRow {
	row := in.bareRow(result.arm, now, latency)
	row.Status = int32(result.status)
	row.Inputs = in.values(in.request.Inputs, result.status)
	if result.status == http.StatusOK {
		// An answer that is no message of the protocol is logged without outputs.
		if text, err := plain(result.header, result.body.Bytes(), keepBytes); err == nil {
			if response, err := oip.ScanBinaryResponse(text, result.header.Get(oip.HeaderLength)); err == nil {
				row.Outputs = in.values(response.Outputs, result.status)
			}
		}
	}
	return row
}

// bareRow lacks what was asked and answered.
func (in *inference) bareRow(by *arm, now time.Time, latency time.Duration) models.InferenceRow {
	row := models.InferenceRow{
		ID: in.id, EventTime: in.eventTime.UnixMicro(), Time: now.UnixMicro(),
		Endpoint: in.endpoint.name, Version: by.Version, Role: string(by.Role), Drawn: in.drawn.Version,
		Generation: in.route.Generation, ArmShare: by.share, LatencyUS: latency.Microseconds(),
		LogShare: logShare(in.route.Traffic.Log),
		Inputs:   "{}", Outputs: "{}",
	}
	if in.version != "" {
		row.Drawn, row.ArmShare = "", 1
	}
	return row
}
