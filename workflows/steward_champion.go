package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// readyWithin is how long a version that is to be champion again may take to
// start its servers, devices included.
const readyWithin = 15 * time.Minute

// servedNews is what a Serve workflow said that the steward started.
type servedNews struct {
	ready  bool
	failed string // empty: it has not
}

// coronation is an operator's order to make an earlier version the champion.
type coronation struct {
	to      string            // version
	aliases map[string]string // what the operator says about aliases beside the champion's; nil: nothing
	action  models.Action
	by, why string
}

// crown is the saga servers → alias → route → old servers → monitor → record.
// Until the alias has moved a failure changes nothing; one after that is undone.
// A cancelled steward finishes it first.
func (s *steward) crown(ctx workflow.Context, c coronation) (models.RollBackResult, error) {
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	s.doing = "making version " + c.to + " the champion again"
	s.show(ctx)
	if err := s.readyToCrown(ctx, c.to); err != nil {
		return models.RollBackResult{}, err
	}
	old, champion := s.state.Champion, *s.version(c.to)
	if err := s.serve(ctx, champion); err != nil {
		s.endCandidate(ctx, champion, "it does not become champion: "+reason(err))
		return models.RollBackResult{}, fmt.Errorf("version %s is not served, nothing was changed: %w", c.to, err)
	}
	before := s.recordedAll()
	wanted := map[string]string{models.AliasChampion: c.to, models.AliasPrevious: s.successorOf(old)}
	if s.state.Challenger == c.to {
		wanted[models.AliasChallenger] = ""
	}
	for _, alias := range stewardAliases() {
		if version, ok := c.aliases[alias]; ok {
			wanted[alias] = version
		}
	}
	if err := s.point(ctx, wanted); err != nil {
		s.endCandidate(ctx, champion, "it does not become champion: "+reason(err))
		return models.RollBackResult{}, err
	}
	if err := s.routeTo(ctx, endpointOf(champion.Spec), c.to, fmt.Sprintf("version %s by %s: %s", c.to, c.by, c.why)); err != nil {
		s.must(ctx, s.point(ctx, before))
		s.endCandidate(ctx, champion, "it does not become champion: "+reason(err))
		return models.RollBackResult{}, fmt.Errorf("the route can't be published, the aliases are back: %w", err)
	}
	s.succeed(ctx, champion, old)
	number := s.record(ctx, models.Record{Action: c.action, Version: c.to, By: c.by, Reason: c.why,
		Aliases: s.recorded(), Evidence: evidenceOf(champion, champion.Candidate.Gate.Verdict)})
	return models.RollBackResult{From: old, To: c.to, Record: number}, nil
}

// readyToCrown looks at everything that can be known before servers start.
func (s *steward) readyToCrown(ctx workflow.Context, version string) error {
	if err := s.mayCrown(version); err != nil {
		return err
	}
	if err := s.aliases.Lock(ctx); err != nil {
		return err
	}
	defer s.aliases.Unlock()
	if err := s.ownLocked(ctx); err != nil {
		return err
	}
	if err := s.compareNow(ctx, version); err != nil {
		return err
	}
	if d := s.championMoved(); d != nil && d.Found != version {
		return failure(&models.Error{Kind: models.KindAliasMoved, Subject: "model " + s.state.Model, Message: explain(*d),
			Hint: "`mainspring aliases --restore` or `--adopt` first"})
	}
	return s.mayCrown(version)
}

// recordedAll has the three aliases, those that are nowhere as empty.
func (s *steward) recordedAll() map[string]string {
	return map[string]string{
		models.AliasChampion: s.state.Champion, models.AliasChallenger: s.state.Challenger, models.AliasPrevious: s.state.Previous,
	}
}

// successorOf is what `previous` becomes when that champion goes: never a
// version that MLflow does not have.
func (s *steward) successorOf(champion string) string {
	for _, version := range []string{champion, s.state.Previous} {
		if version != "" && !s.deleted(version) {
			return version
		}
	}
	return ""
}

// serve starts a version's servers and waits until they answer, but not for
// ever.
func (s *steward) serve(ctx workflow.Context, v models.ModelVersion) error {
	if v.Spec.Deploy == nil || s.serves(v.Version) {
		return nil
	}
	delete(s.served, v.Version)
	deadline := workflow.Now(ctx).Add(readyWithin)
	for {
		err := s.startServing(ctx, v)
		if err == nil {
			break
		}
		// Its servers of before may still be on their way out.
		if !temporal.IsWorkflowExecutionAlreadyStartedError(err) || workflow.Now(ctx).After(deadline) {
			return err
		}
		if err := workflow.Sleep(ctx, 10*time.Second); err != nil {
			return err
		}
	}
	_, err := workflow.AwaitWithTimeout(ctx, deadline.Sub(workflow.Now(ctx)), func() bool { return s.served[v.Version] != servedNews{} })
	switch news := s.served[v.Version]; {
	case err != nil:
		return err
	case news.failed != "":
		return failure(&models.Error{Kind: models.KindServerFailed, Subject: "version " + v.Version, Message: news.failed})
	case !news.ready:
		return failure(&models.Error{Kind: models.KindServerFailed, Subject: "version " + v.Version,
			Message: fmt.Sprintf("its servers are not ready after %s", readyWithin),
			Hint:    "see what " + models.ServeID(v.Spec.Deploy.Endpoint, v.Version) + " waits for"})
	default:
		return nil
	}
}

func (s *steward) startServing(ctx workflow.Context, v models.ModelVersion) error {
	input := serveInput(ctx, s.state.Model, *v.Spec.Deploy, v)
	options := independent(ctx, models.ServeID(input.Deploy.Endpoint, v.Version), fmt.Sprintf("Serve %s version %s", input.Deploy.Endpoint, v.Version))
	return workflow.ExecuteChildWorkflow(options, models.ServeWorkflow, input).GetChildWorkflowExecution().Get(ctx, nil)
}

// serves: the champion has servers, and so has a candidate that waits for its
// promotion.
func (s *steward) serves(version string) bool {
	return version == s.state.Champion || slices.ContainsFunc(s.state.Queue, func(task models.StewardTask) bool {
		return task.Promote != nil && task.Promote.Request.Version == version
	})
}

// endCandidate ends the servers of a version that does not become champion,
// unless they were there before.
func (s *steward) endCandidate(ctx workflow.Context, v models.ModelVersion, why string) {
	if !s.serves(v.Version) {
		s.stopServing(ctx, endpointOf(v.Spec), v.Version, why)
	}
}

// succeed ends the old champion's servers, tells the monitor whom to watch and
// keeps the schedule of retrainings.
func (s *steward) succeed(ctx workflow.Context, champion models.ModelVersion, old string) {
	endpoint := endpointOf(champion.Spec)
	before := s.version(old)
	elsewhere := before != nil && endpointOf(before.Spec) != endpoint
	if old != "" && old != champion.Version && !elsewhere {
		s.stopServing(ctx, endpoint, old, "version "+champion.Version+" took over")
	}
	s.watchChampion(ctx, champion, before)
	s.keepSchedule(ctx)
}

// endpointOf is where the spec's versions are served; empty: nowhere. Such a
// model is champion in the registry only.
func endpointOf(spec models.LifecycleSpec) string {
	if spec.Deploy == nil {
		return ""
	}
	return spec.Deploy.Endpoint
}

// withoutEndpoint says why a version that is served nowhere can't replace a
// champion that is; empty: it can.
func (s *steward) withoutEndpoint(v models.ModelVersion) string {
	champion := s.version(s.state.Champion)
	if v.Spec.Deploy != nil || champion == nil || champion.Spec.Deploy == nil {
		return ""
	}
	return fmt.Sprintf("its spec has no deploy section, and the champion answers on endpoint %s: the alias would name one version and the traffic get another",
		champion.Spec.Deploy.Endpoint)
}

// routeTo gives all traffic to a version, after whichever route is in place: a
// rollout that ended early may have published more than it could report.
func (s *steward) routeTo(ctx workflow.Context, endpoint, version, why string) error {
	if endpoint == "" {
		return nil
	}
	for {
		current, err := call(quick(ctx, "Read the route"), models.Routing.ReadRoute, endpoint)
		if err == nil {
			route := s.finalRoute(endpoint, version, why)
			route.Generation = current.Generation + 1
			err = do(quick(ctx, "Route: "+why), models.Routing.PublishRoute, route)
		}
		if err == nil || kindOf(err) != models.KindStaleRoute {
			return err
		}
	}
}

// finalRoute gives all traffic to a version, whose spec says how it is treated.
// A version that is not known here keeps the defaults of the gateways.
func (s *steward) finalRoute(endpoint, version, why string) models.Route {
	route := models.Route{Endpoint: endpoint, Model: s.state.Model, Arms: []models.Arm{}, Reason: why}
	if version != "" {
		route.Arms = append(route.Arms, models.Arm{Version: version, Role: models.RoleChampion, Weight: 1})
	}
	if v := s.version(version); v != nil {
		route.Task = v.Spec.Data.Task
		if traffic := s.trafficOf(version); traffic != nil {
			route.Traffic = *traffic
		}
		if v.Spec.Deploy != nil && v.Spec.Deploy.Canary.Latency != nil {
			route.SlowAbove = v.Spec.Deploy.Canary.Latency.SLO
		}
	}
	return route
}

// trafficOf is how a version's spec wants its requests treated; nil: it does not
// say, or the version is not known here.
func (s *steward) trafficOf(version string) *models.TrafficSpec {
	v := s.version(version)
	if v == nil || v.Spec.Deploy == nil {
		return nil
	}
	traffic := v.Spec.Deploy.Traffic.WithDefaults()
	return &traffic
}

func (s *steward) stopServing(ctx workflow.Context, endpoint, version, why string) {
	if endpoint == "" {
		return
	}
	s.reply(ctx, models.ServeID(endpoint, version), models.SignalStop, models.StopServe{Reason: why})
}

// watchChampion tells the monitor, also when it has nobody to watch any more.
// The request's ID is new for each succession: a version may be champion more
// than once.
func (s *steward) watchChampion(ctx workflow.Context, champion models.ModelVersion, before *models.ModelVersion) {
	endpoint := endpointOf(champion.Spec)
	unwatched := champion.Spec.Monitor == nil
	if endpoint == "" || unwatched && (before == nil || before.Spec.Monitor == nil || endpointOf(before.Spec) != endpoint) {
		return
	}
	sequence, _ := s.head()
	request := models.WatchRequest{
		RequestID: fmt.Sprintf("%s/watch/%s/%d", workflow.GetInfo(ctx).FirstRunID, champion.Version, sequence),
		Model:     s.state.Model, Version: champion.Version, Decided: workflow.Now(ctx), Unwatched: unwatched,
	}
	if !unwatched {
		request.Reference, request.Data, request.Spec = champion.Candidate.Reference, champion.Spec.Data, *champion.Spec.Monitor
		request.Prediction, request.Promised = champion.Spec.Evaluate.Prediction, promised(champion)
		request.Snapshot, request.OutOfFold, request.HeldOut = champion.Candidate.SnapshotManifest, champion.Candidate.OutOfFold, champion.Candidate.HeldOut
		request.Profile, request.Trained = champion.Candidate.Profile, champion.Candidate.Trained.Began
	}
	s.must(ctx, do(quick(ctx, "Watch the champion"), models.Entities.SignalMonitor, models.MonitorSignal{Endpoint: endpoint, Watch: &request}))
}

// promised is the mean loss of a row that evaluation found. The loss of a
// regression is the squared error.
func promised(champion models.ModelVersion) models.Estimate {
	task := cmp.Or(champion.Spec.Data.Task, models.TaskBinary)
	found := champion.Candidate.Metrics[task.DefaultMetric()]
	if task == models.TaskRegression {
		return models.Estimate{Value: found.Value * found.Value, Low: found.Low * found.Low, High: found.High * found.High}
	}
	return found
}

// must notes a step that is retried for ever and failed all the same: only a
// final kind of error gets here.
func (s *steward) must(ctx workflow.Context, err error) {
	if err != nil {
		workflow.GetLogger(ctx).Error("a step of the saga failed for good", "model", s.state.Model, "error", err)
		s.record(ctx, models.Record{Action: models.ActionRefused, By: s.workflowID(ctx), Reason: "a step failed for good: " + reason(err)})
	}
}
