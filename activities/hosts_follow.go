package activities

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// followEvery is how often the job and its progress are looked at.
const followEvery = 200 * time.Millisecond

// follow passes progress and checkpoints on until the job has ended. It stops
// the job when cancellation was requested, the time is up or the ranks hang; when
// the attempt ends for any other reason, the job goes on and follow returns an
// error.
func (g *gang) follow(ctx context.Context, handle *runner.Handle) (runner.State, error) {
	tails := make([]*progressTail, len(g.req.Node.Devices))
	for local := range tails {
		tails[local] = &progressTail{path: g.path(progressFile(local))}
	}
	sink := newMetricSink(g.h.Metrics, g.req.Run, g.dir)
	uploader := g.newUploader()
	defer g.shipLogs(ctx)()
	stopSampling := sync.OnceFunc(g.sampleSystem(ctx))
	defer stopSampling()
	saved := &savedWork{pools: g.h.Pools, req: g.req}
	stopWork := g.background(ctx, sink.work, uploader.work, saved.work)
	defer stopWork()

	g.watch = newWatch(g, handle)
	look := func() {
		for local, tail := range tails {
			g.take(local, tail, sink)
		}
		if newest := uploader.newest.Load(); newest > 0 {
			g.watch.noteUpload(newest)
			g.update(func(p *models.RankProgress) { p.Checkpoint = newest })
		}
		g.watch.look(now())
		saved.at(g.watch.kept.UploadedAt)
	}
	state, err := g.wait(ctx, handle, look)
	if err != nil {
		return state, err
	}
	stopWork()
	stopSampling()
	if g.leads() && conclusion(state, g.req.Train, g.dir).err != nil {
		uploader.finish(ctx)
	}
	look()
	g.watch.save(now())
	if g.leads() {
		sink.finish(ctx)
	}
	g.storeLogs(ctx)
	return state, nil
}

// background runs what only the host of rank 0 does beside watching. The
// returned function ends it, and may be called twice.
func (g *gang) background(ctx context.Context, work ...func(context.Context)) (stop func()) {
	if !g.leads() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	for _, w := range work {
		group.Go(func() { w(ctx) })
	}
	return func() { cancel(); group.Wait() }
}

// wait calls look until the ranks have ended, are overdue or hang.
func (g *gang) wait(ctx context.Context, handle *runner.Handle, look func()) (runner.State, error) {
	began := handle.Began()
	return g.h.awaitJob(ctx, handle, reasonCancelled, func(state runner.State) string {
		g.notePIDs(state)
		look()
		if overdue(began, g.req.Train) {
			return reasonTimeout
		}
		if silence, hangs := g.watch.silent(now()); hangs {
			return g.watch.hangText(silence, g.step())
		}
		return ""
	})
}

func (g *gang) step() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.progress.Step
}

// notePIDs keeps the numbers of the processes for the heartbeat.
func (g *gang) notePIDs(state runner.State) {
	pids := make([]int, 0, len(state.Processes))
	for _, p := range state.Processes {
		if p.ID.PID > 0 && p.Exit == nil {
			pids = append(pids, p.ID.PID)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.progress.PIDs = pids
}

// take reads new progress of one rank. The furthest step is what everyone
// shows; metrics are those of the host's first rank, and rank 0's go to MLflow.
func (g *gang) take(local int, tail *progressTail, sink *metricSink) {
	lines, err := tail.next()
	if err != nil {
		slog.Warn("progress not read", "job", g.key, "error", err)
		return
	}
	for _, line := range lines {
		record, ok := parseProgress(line.text)
		if !ok {
			continue // a line that is no JSON is the program's own business
		}
		g.watch.noteLine(record.at, tail.path)
		if local > 0 {
			g.update(func(p *models.RankProgress) { p.Step = max(p.Step, record.step) })
			continue
		}
		if g.leads() {
			sink.add(record, line.end)
		}
		g.note(record)
	}
}

// maxShownMetrics keeps heartbeats small.
const maxShownMetrics = 40

func (g *gang) note(record progressRecord) {
	g.update(func(p *models.RankProgress) {
		p.Step = max(p.Step, record.step)
		if record.of > 0 {
			p.Of = record.of
		}
		metrics := maps.Clone(p.Metrics)
		if metrics == nil {
			metrics = map[string]float64{}
		}
		maps.Copy(metrics, record.metrics)
		// Neither heartbeats nor results can hold what is no finite number; MLflow can.
		maps.DeleteFunc(metrics, func(_ string, v float64) bool { return !isFinite(v) })
		p.Metrics = metrics // the old map may be on its way to the server
		if loss, ok := lossOf(record.metrics); ok && isFinite(loss) {
			g.curve.add(record.step, loss)
		}
	})
}

// shown is what a heartbeat tells of the metrics: the first by name, when there
// are many.
func shown(metrics map[string]float64) map[string]float64 {
	if len(metrics) <= maxShownMetrics {
		return metrics
	}
	few := map[string]float64{}
	for _, name := range slices.Sorted(maps.Keys(metrics))[:maxShownMetrics] {
		few[name] = metrics[name]
	}
	return few
}
