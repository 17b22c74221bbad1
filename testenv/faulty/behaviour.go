// Package faulty is a model that misbehaves as it is told, for the proofs of
// the canary: a training that only writes down how, the gate's predictions, and
// a server of the Open Inference Protocol v2 that a spec names in
// deploy.server.command.
//
// # Vocabulary
//
//   - The truth is the probability with which a request's label is 1: it rises
//     with the only feature, x, from 0.1 to 0.9. A sound version answers it.
//   - A behaviour is a version's faults. They are drawn by the hash of the
//     request's ID, so that a run with the same IDs has the same failures,
//     latencies and labels, whoever answers.
package faulty

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Behaviour is what one version does. The zero value answers the truth at once.
type Behaviour struct {
	// ErrorRate is the share of the requests that are answered 500.
	ErrorRate float64 `json:"error_rate,omitempty"`
	// LatencyMS and JitterMS make an answer take LatencyMS and up to JitterMS
	// more, evenly; Slower multiplies both, 0: not at all.
	LatencyMS float64 `json:"latency_ms,omitempty"`
	JitterMS  float64 `json:"jitter_ms,omitempty"`
	Slower    float64 `json:"slower,omitempty"`
	// Bias moves answers from the truth, 0, to its contrary, 1. The gate does
	// not see it: it is as if the world had changed since.
	Bias float64 `json:"bias,omitempty"`
	// Learned are the answers for an x below one half and for the others, as the
	// training rows had it; nil: the truth.
	Learned *[2]float64 `json:"learned,omitempty"`
}

const (
	behaviourFile = "params.json"
	mlmodel       = `flavors:
  faulty:
    data: params.json
signature:
  inputs: '[{"name": "x", "type": "double"}]'
  outputs: '[{"name": "probability", "type": "double"}]'
`
)

// Parse reads a behaviour and refuses one that can't be meant.
func Parse(text []byte) (b Behaviour, err error) {
	if err := json.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("the behaviour is no JSON object: %w", err)
	}
	for name, share := range map[string]float64{"error_rate": b.ErrorRate, "bias": b.Bias} {
		if share < 0 || share > 1 {
			return b, fmt.Errorf("%s is %v; it must be between 0 and 1", name, share)
		}
	}
	if b.LatencyMS < 0 || b.JitterMS < 0 || b.Slower < 0 {
		return b, errors.New("latency_ms, jitter_ms and slower must not be negative")
	}
	return b, nil
}

// Save writes a model in MLflow's format.
func (b Behaviour) Save(dir string) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "MLmodel"), []byte(mlmodel), 0o644),
		os.WriteFile(filepath.Join(dir, behaviourFile), text, 0o644))
}

// Load reads what Save wrote.
func Load(dir string) (Behaviour, error) {
	text, err := os.ReadFile(filepath.Join(dir, behaviourFile))
	if err != nil {
		return Behaviour{}, err
	}
	return Parse(text)
}

// Truth is the probability of label 1.
func Truth(x float64) float64 { return 0.1 + 0.8*x }

// X is the feature that a request of this ID has.
func X(id string) float64 { return draw(id, "x") }

// Label is the outcome of the request.
func Label(id string) float64 {
	if draw(id, "label") < Truth(X(id)) {
		return 1
	}
	return 0
}

// Answer is the probability that the version answers for x.
func (b Behaviour) Answer(x float64) float64 {
	p := b.believes(x)
	return (1-b.Bias)*p + b.Bias*(1-p)
}

// believes is the answer without its faults, which the gate sees.
func (b Behaviour) believes(x float64) float64 {
	if b.Learned == nil {
		return Truth(x)
	}
	return b.Learned[half(x)]
}

// Fails reports whether the request is answered 500.
func (b Behaviour) Fails(id string) bool { return draw(id, "error") < b.ErrorRate }

// Latency is how long the answer takes.
func (b Behaviour) Latency(id string) time.Duration {
	slower := b.Slower
	if slower == 0 {
		slower = 1
	}
	return time.Duration(slower * (b.LatencyMS + b.JitterMS*draw(id, "latency")) * float64(time.Millisecond))
}

// draw is a number in [0, 1) that belongs to the ID and the purpose.
func draw(id, purpose string) float64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, purpose+"\x00"+id) // a hash never fails
	x := h.Sum64()                              // FNV's high bits are weak; the finaliser of MurmurHash3 spreads them
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}
