// Package adapt lets callers of the Open Inference Protocol v2 talk to a model
// server that speaks something else, or knows the model by another name.
//
// # Vocabulary
//
//   - The upstream is the server behind the adapter, on the same host.
//   - MLflow's scoring protocol is POST /invocations of `mlflow models serve`: a
//     data frame (or named tensors) in, {"predictions": …} out, whose form follows
//     from what the model returns.
//   - The prediction is the output that the lifecycle judges, by name. Upstreams
//     that answer without names have only this one.
//
// An adapter is as ready as its upstream, and keeps nothing. A failure that is
// the upstream's own is answered with 5xx even where the upstream calls it 4xx:
// whoever judges the model counts what it failed to answer.
package adapt

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving/mlmodel"
	"github.com/mainspring-ml/mainspring/models"
)

// Config describes an adapter.
type Config struct {
	Upstream *url.URL
	Protocol models.ServerProtocol
	Name     string // of the model for callers: the endpoint's
	Version  string
	// UpstreamModel is the name by which an upstream of protocol v2 knows the
	// model. Empty: Name.
	UpstreamModel string
	// Prediction names the output of an upstream whose answers have no names.
	// Empty: that of the signature, or "predictions".
	Prediction string
	// Task binary takes the second of two columns of probabilities, which is what
	// MLflow's flavours answer, for the one of label 1.
	Task models.Task
	// Signature of the model; its zero value: none is known.
	Signature mlmodel.Signature
	// MaxBodyBytes limits a request's body. 0: 16 MiB.
	MaxBodyBytes int64
	// Drain is how long requests in flight may take after the adapter was told to
	// stop. 0: 10 s.
	Drain time.Duration
}

func (c Config) withDefaults() (Config, error) {
	if c.Name == "" || c.Upstream == nil || c.Upstream.Host == "" {
		return c, errors.New("an adapter needs the model's name and its upstream's URL, such as http://127.0.0.1:5000")
	}
	if c.UpstreamModel == "" {
		c.UpstreamModel = c.Name
	}
	if c.MaxBodyBytes == 0 {
		c.MaxBodyBytes = 16 << 20
	}
	if c.Drain == 0 {
		c.Drain = 10 * time.Second
	}
	return c, nil
}

// Handler answers the Open Inference Protocol v2 with what the upstream says.
func Handler(config Config) (http.Handler, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	switch config.Protocol {
	case models.ProtocolMLflow:
		return newScoring(config), nil
	case models.ProtocolV2, "":
		return newRenaming(config), nil
	default:
		return nil, fmt.Errorf("there is no protocol %q to adapt; use %s or %s", config.Protocol, models.ProtocolV2, models.ProtocolMLflow)
	}
}

// transport keeps as many connections to the upstream as there are requests.
func transport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConns:        1024,
		MaxIdleConnsPerHost: 1024,
		// Shorter than the upstream's (uvicorn's is 5 s): a request on a connection
		// that is being closed would seem to have broken the upstream.
		IdleConnTimeout: 2 * time.Second,
		// What passes through is neither larger nor slower for it.
		DisableCompression: true,
	}
}

// unanswered is the status of a request that the upstream gave no answer to: 503
// when it was not reached, and others may be asked; else 502, since it may have
// been the request that broke it, which must be counted.
func unanswered(err error) int {
	if operation := (*net.OpError)(nil); errors.As(err, &operation) && operation.Op == "dial" {
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away has nobody to tell
}
