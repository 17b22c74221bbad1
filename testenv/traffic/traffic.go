// Package traffic asks an endpoint at a steady rate and keeps account of every
// request, for proofs that none is lost.
//
// # Vocabulary
//
//   - The loop is open: a request is sent when its time has come, however many
//     are still on their way, up to a bound. What the bound holds back is never
//     sent: a machine that is busy with other things is asked less, and is not
//     buried.
//   - A request is answered when a status came back, and failed when that was
//     5xx. It is lost when the connection broke after the request was on its
//     way: nobody knows what became of it. It is unsent when no gateway took a
//     connection.
//   - Only a refused connection is tried again, at the next gateway.
package traffic

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Config says what to ask, and whom.
type Config struct {
	Gateways []string // base URLs; requests take turns
	Endpoint string
	Prefix   string  // of the request IDs
	Rate     float64 // requests per second
	// Body makes the request of an ID.
	Body func(id string) []byte
	// EventTime is the event time of a moment; nil: no event time is sent.
	EventTime func(at time.Time) time.Time
	// Labels of answered requests are posted; nil: none.
	Labels *Labels
	// Most is the bound on the requests on their way; 0: 64.
	Most int
	// Patience is the longest wait for an answer; 0: a minute.
	Patience time.Duration
}

// Labels says which outcomes become known, and when.
type Labels struct {
	Of    func(id string) float64
	After time.Duration // wall clock, from the answer
	Every int           // one of so many answered requests; 0: all
}

// Request is what became of one request.
type Request struct {
	ID      string
	Gateway int       // index of the one that was asked last
	Sent    time.Time // of the first attempt
	Ended   time.Time
	Status  int    // 0: no answer
	Version string // that answered
	Arm     string
	Unsent  bool  // no gateway took a connection
	Err     error // why there is no answer, or what it says when it is none of success
}

// Answered reports whether a status came back.
func (r Request) Answered() bool { return r.Status != 0 }

// Failed reports whether the answer was an error of the server.
func (r Request) Failed() bool { return r.Status >= http.StatusInternalServerError }

// Lost reports whether nobody knows what became of the request.
func (r Request) Lost() bool { return r.Status == 0 && !r.Unsent }

// Run is traffic under way. Stop it.
type Run struct {
	config Config
	client *http.Client
	cancel context.CancelFunc
	loops  sync.WaitGroup
	flying sync.WaitGroup

	mu       sync.Mutex
	requests []Request
	due      []label // in order of time
	labelled int
	open     int // requests on their way
}

type label struct {
	id string
	at time.Time
}

// Start begins to send.
func Start(ctx context.Context, config Config) *Run {
	config.Most, config.Patience = cmp.Or(config.Most, 64), cmp.Or(config.Patience, time.Minute)
	ctx, cancel := context.WithCancel(ctx)
	// Gateways close connections that are idle for two minutes. A request that is
	// on its way by then is lost, so the sender closes them first.
	const idle = time.Minute
	transport := &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: idle, DialContext: (&net.Dialer{Timeout: 15 * time.Second}).DialContext}
	r := &Run{config: config, cancel: cancel, client: &http.Client{Transport: transport}}
	r.loops.Go(func() { r.send(ctx) })
	if config.Labels != nil {
		r.loops.Go(func() { r.postLabels(ctx) })
	}
	return r
}

// Stop sends nothing more, waits for what is on its way, and returns the
// account. Labels that are not due yet are never posted.
func (r *Run) Stop() Report {
	r.cancel()
	r.loops.Wait()
	r.flying.Wait()
	r.client.CloseIdleConnections()
	return r.Report()
}

// Report is the account so far; requests on their way are not in it.
func (r *Run) Report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Report{Requests: append([]Request(nil), r.requests...), Labels: r.labelled, Open: r.open}
}

// send keeps the rate: what a late turn of the clock left over is sent with it,
// as far as the bound allows.
func (r *Run) send(ctx context.Context) {
	began, sent, held := time.Now(), 0, 0
	tick := time.NewTicker(time.Duration(float64(time.Second) / r.config.Rate))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due := int(time.Since(began).Seconds()*r.config.Rate) - held
		for ; sent < due && r.enter(); sent++ {
			id := fmt.Sprintf("%s-%d", r.config.Prefix, sent)
			first := sent % len(r.config.Gateways)
			// The end of sending is no reason to break off what is on its way.
			r.flying.Go(func() { r.keep(r.ask(context.WithoutCancel(ctx), id, first)) })
		}
		held += due - sent
	}
}

// enter counts one more request on its way, unless there are too many.
func (r *Run) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open >= r.config.Most {
		return false
	}
	r.open++
	return true
}

func (r *Run) keep(done Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	r.requests = append(r.requests, done)
	if l := r.config.Labels; l != nil && done.Status == http.StatusOK && (l.Every < 2 || len(r.requests)%l.Every == 0) {
		r.due = append(r.due, label{id: done.ID, at: done.Ended.Add(l.After)})
	}
}

// ask tries each gateway once, as long as they take no connection.
func (r *Run) ask(ctx context.Context, id string, first int) (done Request) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Patience)
	defer cancel()
	done = Request{ID: id, Sent: time.Now()}
	body := r.config.Body(id)
	for i := range r.config.Gateways {
		done.Gateway = (first + i) % len(r.config.Gateways)
		done.Err = r.attempt(ctx, body, &done)
		var network *net.OpError
		done.Unsent = errors.As(done.Err, &network) && network.Op == "dial"
		if !done.Unsent {
			break
		}
	}
	done.Ended = time.Now()
	return done
}

func (r *Run) attempt(ctx context.Context, body []byte, done *Request) error {
	url := r.config.Gateways[done.Gateway] + "/v2/models/" + r.config.Endpoint + "/infer"
	// Without GetBody, net/http never sends a request twice by itself.
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return err
	}
	request.ContentLength = int64(len(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Mainspring-Request-Id", done.ID)
	if r.config.EventTime != nil {
		request.Header.Set("Mainspring-Event-Time", r.config.EventTime(done.Sent).UTC().Format(time.RFC3339Nano))
	}
	response, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	const enough = 1 << 20
	text, err := io.ReadAll(io.LimitReader(response.Body, enough))
	if err != nil {
		return err
	}
	done.Status = response.StatusCode
	done.Version, done.Arm = response.Header.Get("Mainspring-Version"), response.Header.Get("Mainspring-Arm")
	if done.Status != http.StatusOK {
		done.Err = fmt.Errorf("answered %s: %.200s", response.Status, text)
		return done.Err
	}
	return nil
}

// postLabels posts what is due, twice a second.
func (r *Run) postLabels(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			ids := r.takeDue(now)
			if len(ids) == 0 {
				continue
			}
			if err := r.post(ctx, i%len(r.config.Gateways), ids, now); err != nil {
				r.giveBack(ids, now) // posting twice is harmless: the last label counts
			}
		}
	}
}

func (r *Run) takeDue(now time.Time) (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.due) > 0 && !r.due[0].at.After(now) {
		ids = append(ids, r.due[0].id)
		r.due = r.due[1:]
	}
	return ids
}

func (r *Run) giveBack(ids []string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	back := make([]label, 0, len(ids)+len(r.due))
	for _, id := range ids {
		back = append(back, label{id: id, at: now})
	}
	r.due = append(back, r.due...)
}

func (r *Run) post(ctx context.Context, gateway int, ids []string, now time.Time) error {
	var lines bytes.Buffer
	for _, id := range ids {
		line := map[string]any{"id": id, "label": r.config.Labels.Of(id)}
		if r.config.EventTime != nil {
			line["label_time"] = r.config.EventTime(now).UTC()
		}
		if err := json.NewEncoder(&lines).Encode(line); err != nil {
			return err
		}
	}
	url := r.config.Gateways[gateway] + "/v2/models/" + r.config.Endpoint + "/labels"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, &lines)
	if err != nil {
		return err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the labels were answered %s: %s", response.Status, text)
	}
	if err == nil {
		r.mu.Lock()
		r.labelled += len(ids)
		r.mu.Unlock()
	}
	return err
}
