// Package rollouts releases versions that misbehave in known ways on the real
// stack, under traffic, and holds what becomes of them to the promises of the
// canary: the end-to-end test demands them, bench/rollout publishes the figures.
//
// # Vocabulary
//
//   - A scenario is a sound champion, a candidate with one fault or none, and
//     the verdict that the candidate deserves.
//   - The traffic is a loop of numbered requests, see package traffic. Faults,
//     latencies and labels belong to a request's ID, see package faulty.
//   - The exposed share is what the candidate answered, of all that was answered
//     while its rollout ran.
//   - The outcome is everything that can be seen from outside once the rollout
//     is over: verdict, reason, aliases, route, log, and the callers' account.
package rollouts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/faulty"
	"github.com/mainspring-ml/mainspring/testenv/laptop"
	"github.com/mainspring-ml/mainspring/testenv/traffic"
)

const (
	// Program is the package of the model's program; build it for the laptop.
	Program     = "./testenv/faulty/faulty-model"
	programName = "faulty-model"
	// patience bounds a whole lifecycle, its rollout included.
	patience = 8 * time.Minute
)

// Bench is a stack to run scenarios on, several at once.
type Bench struct {
	Laptop *laptop.Laptop
	Store  artifact.Store
	data   string // directory of the rows
	specs  string // directory of the spec files
	log    func(format string, arguments ...any)
}

// New prepares the data in dir, which is empty.
func New(l *laptop.Laptop, dir string, log func(format string, arguments ...any)) (*Bench, error) {
	b := &Bench{Laptop: l, data: filepath.Join(dir, "data"), specs: filepath.Join(dir, "specs"), log: log}
	if err := errors.Join(os.MkdirAll(b.data, 0o755), os.MkdirAll(b.specs, 0o755)); err != nil {
		return nil, err
	}
	if err := faulty.WriteRows(b.data); err != nil {
		return nil, err
	}
	access := map[string]string{}
	for _, pair := range l.Env() {
		name, value, _ := strings.Cut(pair, "=")
		access[name] = value // the last one counts
	}
	var err error
	b.Store, err = artifact.NewS3(artifact.ConfigFromEnv(func(name string) string { return access[name] }))
	return b, err
}

// Release is one version on its way to an endpoint.
type Release struct {
	Endpoint  string // the model's name as well
	Key       string // of the lifecycle
	Behaviour faulty.Behaviour
	Canary    models.CanarySpec
	Replicas  int // 0: one
}

// ID is the lifecycle's workflow ID.
func (r Release) ID() string { return models.LifecycleID(r.Endpoint, r.Key) }

// Submit starts the lifecycle of a release.
func (b *Bench) Submit(ctx context.Context, r Release) error {
	s, err := b.spec(r)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.specs, r.Endpoint+"-"+r.Key)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return b.Laptop.Submit(ctx, dir, r.ID(), s)
}

// Await returns the result of a lifecycle.
func (b *Bench) Await(ctx context.Context, r Release) (result models.LifecycleResult, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s has not ended within %s", r.ID(), patience))
	defer cancel()
	if err = b.Laptop.Temporal.GetWorkflow(ctx, r.ID(), "").Get(ctx, &result); err != nil {
		err = fmt.Errorf("%s: %w", r.ID(), errors.Join(err, context.Cause(ctx)))
	}
	return result, err
}

// Promote releases a first version, which nothing is compared with.
func (b *Bench) Promote(ctx context.Context, r Release) (version string, err error) {
	if err := b.Submit(ctx, r); err != nil {
		return "", err
	}
	result, err := b.Await(ctx, r)
	if err == nil && !result.Promoted {
		err = fmt.Errorf("%s was not promoted: %s", r.ID(), result.Reason)
	}
	if err != nil {
		return "", err
	}
	return result.Version, b.awaitGateways(ctx, r.Endpoint)
}

// awaitGateways waits until all of them have seen the endpoint's first route.
func (b *Bench) awaitGateways(ctx context.Context, endpoint string) error {
	return laptop.Eventually(laptop.Patience, func() (bool, any) {
		for _, url := range b.Laptop.Gateways {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v2/models/"+endpoint+"/ready", nil)
			if err != nil {
				return false, err
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return ctx.Err() != nil, err
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				return false, response.Status
			}
		}
		return true, nil
	})
}

// spec is a whole lifecycle around the faulty program: seconds from the data to
// the rollout.
func (b *Bench) spec(r Release) (s models.LifecycleSpec, err error) {
	program := filepath.Join(b.Laptop.Bin, programName)
	params, err := asParams(r.Behaviour)
	if err != nil {
		return s, err
	}
	return models.LifecycleSpec{
		Model: models.ModelSpec{Name: r.Endpoint},
		Data: models.DataSpec{
			Source: b.data, Time: "at", Key: "id", Label: "y", Features: []string{"x"},
			AsOf: faulty.Start().AddDate(0, 0, faulty.Days), Window: faulty.Days * models.Day, Holdout: faulty.Days * models.Day / 2,
		},
		Train: models.TrainSpec{Command: []string{program, "train"}, Params: params},
		Evaluate: models.EvaluateSpec{
			Predict:  models.PredictSpec{Runtime: models.RuntimeCommand, Command: []string{program, "predict"}},
			Champion: models.ChampionGate{Margin: 1, Resamples: 100}, // the canary is what is tried here
		},
		Deploy: &models.DeploySpec{
			Endpoint: r.Endpoint, Replicas: max(r.Replicas, 1), Canary: r.Canary,
			Traffic: models.TrafficSpec{Timeout: models.Duration(time.Minute)}, // no fault is that slow, a busy machine may be
			Server: models.ServerSpec{
				Command:     []string{program, "serve", "{model_dir}", "{host}:{port}", "{endpoint}", "{version}"},
				StartWithin: models.Duration(30 * time.Second),
			},
		},
	}, nil
}

// asParams are a behaviour as the training gets it.
func asParams(b faulty.Behaviour) (params map[string]any, err error) {
	text, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	return params, json.Unmarshal(text, &params)
}

// Body is the inference request of an ID.
func Body(id string) []byte {
	return fmt.Appendf(nil, `{"inputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[%v]}]}`, faulty.X(id))
}

// Traffic starts to ask an endpoint through all gateways.
func (b *Bench) Traffic(ctx context.Context, endpoint string, change func(*traffic.Config), rate float64) *traffic.Run {
	config := traffic.Config{Gateways: b.Laptop.Gateways, Endpoint: endpoint, Prefix: endpoint, Rate: rate, Body: Body}
	if change != nil {
		change(&config)
	}
	return traffic.Start(ctx, config)
}
