package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// attempt leases, resumes and runs the gang once. Devices are given back
// whatever happens, after every rank has ended, and what they were used for is
// booked. An error here means that there was no attempt: no lease.
func (t *training) attempt(ctx workflow.Context) (models.TrainResult, outcome, error) {
	request := t.leaseRequest(ctx)
	t.status.State = models.TrainLeasing
	t.waitFor(ctx, request.RequestID, waitingFor(request.Resources))
	asked := workflow.Now(ctx)
	lease, err := t.desk.acquire(ctx, request)
	t.waitFor(ctx, "", "")
	if err != nil {
		t.ledger.waitedInVain(wantedGPUs(request.Resources), workflow.Now(ctx).Sub(asked))
		return models.TrainResult{}, outcome{}, err
	}
	g := &gang{lease: lease, began: lease.GrantedAt, gpus: leasedGPUs(lease)}
	if now := workflow.Now(ctx); g.began.IsZero() || g.began.After(now) {
		g.began = now
	}
	t.status.Lease, t.status.State, t.devices = &lease, models.TrainRunning, deviceUUIDs(lease)
	o := t.useLease(ctx, g)
	t.status.Lease = nil
	t.learn(g, o)
	t.ledger.close(newUsage(models.AttemptSummary{
		Attempt: t.status.Attempt, Token: lease.Token, Nodes: nodesOf(lease), GPUs: g.gpus,
		Began: g.began, Ended: workflow.Now(ctx), From: g.resume.Step, Reason: o.reason, Detail: excerpt(o.detail),
	}, g.began.Sub(asked), o.report))
	t.desk.release(ctx, request)
	t.settle()
	return t.resultOf(g), o, nil
}

func (t *training) leaseRequest(ctx workflow.Context) models.LeaseRequest {
	info := workflow.GetInfo(ctx)
	return models.LeaseRequest{
		RequestID: fmt.Sprintf("%s#%d", info.WorkflowExecution.RunID, t.status.Attempt),
		Holder:    info.WorkflowExecution.ID,
		HolderRun: info.FirstRunID,
		Purpose:   "train " + t.input.Model,
		Resources: t.input.Train.Resources,
		Avoid:     t.avoid, Exclude: t.exclude,
		Grace:          t.input.Train.Grace,
		UsedGPUSeconds: int64(t.ledger.total().Leased()),
	}
}

// useLease finds what to resume from and runs the gang.
func (t *training) useLease(ctx workflow.Context, g *gang) outcome {
	resume, err := call(quick(ctx, "Find the last checkpoint"), models.Checkpoints.FindCheckpoint,
		models.FindCheckpointRequest{RunKey: t.runKey})
	if err != nil {
		return t.notStarted(ctx, err, "")
	}
	g.resume, t.status.Resumed = resume, resume.Step
	t.ledger.resumed(resume)
	t.skipped(resume.Skipped)
	t.settle()
	t.show(ctx)

	first := g.lease.Nodes[0].Node
	master, err := call(onHost(ctx, first, "Reserve a port for rank 0"), models.Hosts.ReserveMasterPort,
		models.ReserveMasterPortRequest{RunKey: t.runKey, Token: g.lease.Token})
	if err != nil {
		if silent(err) {
			t.avoidNode(first)
		}
		return t.notStarted(ctx, err, first)
	}
	t.runRanks(ctx, g, func(i int) models.RunRanksRequest { return t.ranksOn(g, i, master) })
	return t.judge(ctx, g)
}

func (t *training) notStarted(ctx workflow.Context, err error, host string) outcome {
	if ctx.Err() != nil {
		return outcome{reason: models.ExitCancelled, err: ctx.Err()}
	}
	return outcomeOf(err, host)
}

func (t *training) ranksOn(g *gang, host int, master models.MasterEndpoint) models.RunRanksRequest {
	lease := g.lease
	return models.RunRanksRequest{
		RunKey: t.runKey, Token: lease.Token, Node: lease.Nodes[host], GroupRank: host, Groups: len(lease.Nodes),
		WorldSize: worldSize(lease), Restart: t.status.Attempt - 1, Master: master, Train: t.input.Train,
		Snapshot: t.input.Snapshot.Manifest, Data: t.input.Data, Resume: g.resume, Run: t.run,
		Lease: lease.RequestID, Pool: lease.Resources.Pool, Preemptible: lease.Resources.Preemptible,
		Features: features(t.input.Snapshot.Columns),
	}
}

// learn remembers what the next request must do without: hosts that were lost,
// and devices that failed. A spec that names its devices gets no others, so
// there the pool's own quarantine has to do.
func (t *training) learn(g *gang, o outcome) {
	for i := range g.errs {
		if silent(g.errs[i]) {
			t.avoidNode(g.lease.Nodes[i].Node)
		}
	}
	t.skipped(o.report.Skipped)
	lost, ok := t.desk.lossOf(g.lease.RequestID)
	switch {
	case !ok || g.asked == models.ExitPreempted:
		// Nothing broke; a lease that was given back too late is void as well.
	case lost.Device == "":
		t.avoidNode(lost.Node)
	case len(t.input.Train.Resources.UUIDs) == 0 && !slices.Contains(t.exclude, lost.Device):
		t.exclude = append(slices.Clone(t.exclude), lost.Device)
	}
}

func (t *training) avoidNode(node string) {
	if node != "" && !slices.Contains(t.avoid, node) {
		t.avoid = append(slices.Clone(t.avoid), node)
	}
}

// skipped notes damaged checkpoints, each once.
func (t *training) skipped(names []string) {
	const kept = 20
	for _, name := range names {
		if !slices.Contains(t.status.Skipped, name) {
			t.status.Skipped = append(t.status.Skipped, excerpt(name))
		}
	}
	t.status.Skipped = t.status.Skipped[max(len(t.status.Skipped)-kept, 0):]
}

// settle brings the status up to what the ledger says.
func (t *training) settle() {
	t.status.Account, t.status.Attempts = t.ledger.total(), t.ledger.summaries()
}

func (t *training) resultOf(g *gang) models.TrainResult {
	if len(g.results) == 0 || g.results[0].Artifact == nil {
		return models.TrainResult{}
	}
	first := g.results[0]
	return models.TrainResult{
		RunID: t.run.RunID, RunURL: t.run.URL, Artifact: *first.Artifact, OutOfFold: first.OutOfFold,
		Metrics: first.Metrics, Steps: first.Steps, Curve: first.Curve, Restarts: t.restarts, Devices: t.devices,
		Account: t.status.Account, Attempts: t.status.Attempts, Skipped: t.status.Skipped,
		Hosts: hostsOf(g.results),
	}
}

func hostsOf(results []models.RanksResult) []models.HostFacts {
	hosts := make([]models.HostFacts, len(results))
	for i, r := range results {
		hosts[i] = r.Host
	}
	return hosts
}

func nodesOf(lease models.Lease) []string {
	nodes := make([]string, len(lease.Nodes))
	for i, n := range lease.Nodes {
		nodes[i] = n.Node
	}
	return nodes
}

func worldSize(lease models.Lease) (n int) {
	for _, node := range lease.Nodes {
		n += len(node.Devices)
	}
	return n
}

func deviceUUIDs(lease models.Lease) (all []string) {
	for _, node := range lease.Nodes {
		all = append(all, uuids(node.Devices)...)
	}
	return all
}

func uuids(devices []models.Device) []string {
	all := make([]string, len(devices))
	for i, d := range devices {
		all[i] = d.UUID
	}
	return all
}

func features(columns []models.Column) (found []models.Column) {
	for _, c := range columns {
		if c.Role == "feature" {
			found = append(found, c)
		}
	}
	return found
}
