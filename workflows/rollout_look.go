package workflows

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/canary"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// labelsPatience is how many blocks, or polls, one look takes in while nothing
	// but labels is missing, which may be for days: each look is a few events of
	// the history.
	labelsPatience = 5
	// lossesMost is the longest time between two readings of labels. It begins at
	// the poll and doubles whenever there is nothing new.
	lossesMost = 30 * time.Minute
	// lookMost keeps a look within the time that its activity may take.
	lookMost = time.Hour
	// longestVerdict bounds what the judge and the readers of labels say.
	longestVerdict = 1000
	// lookLate is how long counters may be unreadable before the rollout says so,
	// and keeps to its deadline without them. Since no worker may have been there
	// meanwhile, it tries once more before it gives up.
	lookLate = 5 * time.Minute
)

// look waits for evidence worth judging, and judges. An order, servers that end
// and labels that have been read cut the waiting short.
func (r *rollout) look(ctx workflow.Context) error {
	r.readLosses(ctx)
	r.show(ctx, r.waitingForEvidence())
	looking, leave := workflow.WithCancel(ctx)
	defer leave()
	request := r.armsRequest(workflow.Now(ctx))
	counters := start(inTime(heavy(looking, "Read the arms' counters"), request.Wait.Std()+lookLate), models.Routing.ReadArms, request)
	news := r.news
	err := workflow.Await(ctx, func() bool {
		return counters.IsReady() || r.failed != nil || r.news != news || r.losses != nil && r.losses.IsReady()
	})
	if err != nil {
		return err
	}
	if counters.IsReady() {
		reading, err := counters.get(ctx)
		switch {
		case err != nil && !temporal.IsCanceledError(err) && kindOf(err).Retryable(): // its time is up
			r.unread++
			r.unreadable = clip(reason(err), 200)
		case err != nil:
			return err
		default:
			r.unread = 0
			r.takeArms(workflow.Now(ctx), reading)
		}
	}
	if r.losses != nil && r.losses.IsReady() {
		if err := r.takeLosses(ctx); err != nil {
			return err
		}
	}
	r.settle(workflow.Now(ctx))
	return nil
}

func (r *rollout) armsRequest(now time.Time) models.ReadArmsRequest {
	current, poll := r.current(), r.spec.Poll.Std()
	request := models.ReadArmsRequest{
		Endpoint: r.input.Deploy.Endpoint, Champion: r.input.Champion, Canary: r.input.Candidate.Version,
		Seen: current.Canary.Requests, MinNew: canary.NextLook(r.judge, current.Canary.Requests),
		Block: r.spec.Block, After: r.state.BlocksFrom,
	}
	for _, s := range r.state.Steps {
		request.Generations = append(request.Generations, s.Generation)
	}
	wait := poll
	if onlyLabelsMissing(current.Verdict) {
		wait, request.MinBlocks = labelsPatience*poll, labelsPatience
	}
	if r.ends() {
		wait = min(wait, r.left(now))
	}
	if r.spec.Quality != nil && r.losses == nil {
		wait = min(wait, r.state.LossesNext.Sub(now))
	}
	request.Wait = models.Duration(min(max(wait, 0), lookMost))
	return request
}

// onlyLabelsMissing: everything that gateways count is proven safe.
func onlyLabelsMissing(v models.CanaryVerdict) bool {
	missing := 0
	for _, m := range v.Metrics {
		switch {
		case m.Metric == models.CanaryQuality:
			missing++
		case m.Verdict != models.VerdictPass:
			return false
		}
	}
	return v.Verdict == models.VerdictInconclusive && missing > 0
}

// takeArms adds what the gateways counted. Blocks are the judge's at once:
// each is read only once.
func (r *rollout) takeArms(now time.Time, reading models.ArmReading) {
	current := r.current()
	before := current.Champion.Requests + current.Canary.Requests
	for _, counts := range reading.Arms {
		r.takeCounts(counts)
	}
	if current.Champion.Requests+current.Canary.Requests > before {
		r.state.LastRequest = now
	}
	if reading.Next.After(r.state.BlocksFrom) {
		r.state.BlocksFrom = reading.Next
	}
	r.observe(canary.Evidence{Blocks: reading.Blocks})
}

func (r *rollout) takeCounts(counts models.ArmCounts) {
	i := slices.IndexFunc(r.state.Steps, func(s models.CanaryStep) bool { return s.Generation == counts.Generation })
	if i < 0 {
		return
	}
	if i < len(r.state.Steps)-1 {
		counts.Latency = nil
	}
	switch counts.Version {
	case r.input.Champion:
		r.state.Steps[i].Champion = counts
	case r.input.Candidate.Version:
		r.state.Steps[i].Canary = counts
	}
}

func (r *rollout) observe(evidence canary.Evidence) {
	evidence.Champion, evidence.Canary = r.current().Champion, r.current().Canary
	r.state.Judge = r.judge.Observe(r.state.Judge, evidence)
}

// readLosses begins to read what labels say, when quality is judged and it is
// time. It goes on behind the looks, so that it never delays news of harm.
func (r *rollout) readLosses(ctx workflow.Context) {
	q := r.spec.Quality
	if q == nil || r.losses != nil || workflow.Now(ctx).Before(r.state.LossesNext) {
		return
	}
	request := models.ReadLossesRequest{
		Endpoint: r.input.Deploy.Endpoint, Champion: r.input.Champion, Canary: r.input.Candidate.Version, Quality: *q,
		Task: r.input.Candidate.Spec.Data.Task, Classes: r.input.Candidate.Spec.Data.Classes,
		Prediction: r.input.Candidate.Spec.Evaluate.Prediction, After: r.state.LossesFrom, Since: r.state.Since,
	}
	for _, s := range r.state.Steps {
		request.Generations = append(request.Generations, s.Generation)
	}
	reading := start(heavy(ctx, "Read the losses of labelled requests"), models.Losses.ReadLosses, request)
	r.losses = &reading
}

// takeLosses adds what was read. Labels that can't be read are no reason to end
// what is safe otherwise, nor to promote: the step goes on to its deadline.
func (r *rollout) takeLosses(ctx workflow.Context) error {
	if !r.losses.IsReady() {
		return nil
	}
	reading, err := r.losses.get(ctx)
	r.losses = nil
	if temporal.IsCanceledError(err) {
		return err
	}
	pause := min(max(2*r.state.LossesPause.Std(), r.spec.Poll.Std()), max(lossesMost, r.spec.Poll.Std()))
	switch {
	case err != nil:
		r.state.Labels = "the labels can't be read: " + clip(reason(err), 300)
	case len(reading.Blocks) > 0:
		pause = r.spec.Poll.Std()
		fallthrough
	default:
		r.state.Labels, r.state.LossesFrom = clip(reading.Waiting, 300), later(r.state.LossesFrom, reading.Next)
		r.observe(canary.Evidence{Losses: reading.Blocks})
	}
	r.state.LossesPause = models.Duration(pause)
	r.state.LossesNext = workflow.Now(ctx)
	if !reading.More {
		r.state.LossesNext = r.state.LossesNext.Add(pause)
	}
	return nil
}

// settle has the judge look at the evidence so far.
func (r *rollout) settle(now time.Time) {
	current := r.current()
	verdict := r.judge.Judge(r.state.Judge)
	if current.Shadow > 0 && verdict.Verdict != models.VerdictFail {
		verdict.Verdict = models.VerdictInconclusive
		// Those that the judge has weighed: counters are ahead of the blocks.
		if copies := r.state.Judge.Canary.Requests; copies >= r.spec.Shadow.Requests {
			verdict.Verdict = models.VerdictPass
			verdict.Reason = fmt.Sprintf("%s copies were answered without evidence of harm (%s); that it is safe the weights have to show", grouped(copies), verdict.Reason)
		}
	}
	if verdict.Verdict == models.VerdictInconclusive {
		verdict.Reason += r.missing(now)
	}
	verdict.Reason = clip(verdict.Reason, longestVerdict)
	current.Verdict = verdict
	look := models.CanaryLook{Requests: current.Canary.Requests, Harm: rounded(verdict.Harm), Safe: rounded(verdict.Safe)}
	for _, m := range verdict.Metrics {
		look.Metrics = append(look.Metrics, models.MetricLook{Harm: rounded(m.Harm), Safe: rounded(m.Safe)})
	}
	if n := len(current.History); n == 0 || !sameLook(current.History[n-1], look) {
		current.History = thin(append(current.History, look), looksKept)
	}
}

func sameLook(a, b models.CanaryLook) bool {
	return a.Requests == b.Requests && a.Harm == b.Harm && a.Safe == b.Safe && slices.Equal(a.Metrics, b.Metrics)
}

// missing says why there is no evidence where one can know it.
func (r *rollout) missing(now time.Time) (why string) {
	if r.unread > 0 {
		why += "; the gateways' counters can't be read: " + r.unreadable
	} else if quiet := now.Sub(r.state.LastRequest); quiet >= max(2*r.spec.Poll.Std(), time.Minute) {
		why += "; no requests reach the endpoint since " + spell(quiet)
	}
	if r.spec.Quality != nil && r.state.Labels != "" {
		why += "; labels: " + r.state.Labels
	}
	return why
}

// rounded keeps three digits, which is what a plot needs and keeps the state
// small.
func rounded(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	if err != nil {
		return v
	}
	return r
}
