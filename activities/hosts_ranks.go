package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// Phases of RankProgress.
const (
	phaseData        = "fetching data"
	phaseEnvironment = "building environment"
	phaseTraining    = "training"
	phaseUploading   = "uploading"
)

// RunRanks implements models.Hosts. The steps can be interrupted anywhere:
//
//  1. What the ranks need is fetched into caches and the job's directory.
//  2. The runner starts the job; from here on an attempt finds it and attaches.
//  3. Progress and checkpoints are passed on while it runs.
//  4. The model is checked and stored, then the result is written beside it.
//     Only after that are local files removed: an attempt whose answer did not
//     arrive is followed by one that finds the result.
func (h *Hosts) RunRanks(ctx context.Context, req models.RunRanksRequest) (models.RanksResult, error) {
	g := newGang(h, req)
	defer pulseEach(ctx, gangBeat, g.read)()
	release, err := h.claims.take(ctx, g.key)
	if err != nil {
		return models.RanksResult{}, err
	}
	defer release()
	if result, found, err := earlierResult[models.RanksResult](g.path(resultFile)); err != nil || found {
		result.Reattached = true
		return result, err
	}
	handle, err := g.start(ctx)
	if err != nil {
		return models.RanksResult{}, g.notStarted(ctx, h.stuck(err))
	}
	return g.see(ctx, handle)
}

// gang is one host's share of a training.
type gang struct {
	h   *Hosts
	req models.RunRanksRequest
	key string
	dir string // the job's

	// watch is nil until the job runs.
	watch *watch
	logs  *logShipper // nil until the job runs

	mu       sync.Mutex
	progress models.RankProgress
	version  int
	curve    curve
}

func newGang(h *Hosts, req models.RunRanksRequest) *gang {
	key := fmt.Sprintf("train-%s-%d-%d", req.RunKey, req.Token, req.GroupRank)
	return &gang{h: h, req: req, key: key, dir: h.Runner.Dir(key)}
}

// leads reports whether rank 0 is here, which alone writes checkpoints, metrics
// and the model.
func (g *gang) leads() bool { return g.req.GroupRank == 0 }

func (g *gang) path(name string) string { return filepath.Join(g.dir, name) }

// Names in the job's directory.
const (
	codeDir       = "code"
	checkpointDir = "checkpoints"
	modelDir      = "model"
	outOfFoldFile = "out-of-fold.parquet"
	resultFile    = "result.json"
)

func progressFile(local int) string { return fmt.Sprintf("progress-%d.jsonl", local) }

// rankName is the name of a process and of its log.
func (g *gang) rankName(local int) string {
	return fmt.Sprintf("rank-%d", g.req.GroupRank*len(g.req.Node.Devices)+local)
}

// read is what the heartbeat tells.
func (g *gang) read() (models.RankProgress, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	detail := g.progress
	detail.Metrics = shown(detail.Metrics)
	detail.Curve = append([][2]float64(nil), g.curve.points...)
	return detail, g.version
}

func (g *gang) update(change func(*models.RankProgress)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.progress)
	g.version++
}

func (g *gang) phase(name string) { g.update(func(p *models.RankProgress) { p.Phase = name }) }

// start starts the job, or attaches to it.
func (g *gang) start(ctx context.Context) (*runner.Handle, error) {
	handle, found, err := g.h.Runner.Attach(g.key)
	if err != nil {
		return nil, err
	}
	if found {
		g.update(func(p *models.RankProgress) { p.Phase, p.Reattached = phaseTraining, true })
		return handle, handle.Touch()
	}
	job, err := g.prepare(ctx)
	if err != nil {
		return nil, err
	}
	g.phase(phaseTraining)
	handle, _, err = g.h.Runner.Start(ctx, job)
	return handle, err
}

// prepare fetches what the ranks need and says how to run them.
func (g *gang) prepare(ctx context.Context) (runner.Job, error) {
	for _, name := range []string{checkpointDir, codeDir} {
		if err := os.MkdirAll(g.path(name), 0o700); err != nil {
			return runner.Job{}, err
		}
	}
	secrets, err := g.h.resolveSecrets("train", g.req.Train.Env)
	if err != nil {
		return runner.Job{}, err
	}
	at, err := g.fetch(ctx)
	if err != nil {
		return runner.Job{}, err
	}
	argv := append([]string(nil), g.req.Train.Command...)
	if len(argv) == 0 {
		return runner.Job{}, &models.Error{Kind: models.KindInvalidSpec, Subject: "train.command", Message: "is missing"}
	}
	if err := g.environment(ctx, argv, &at); err != nil {
		return runner.Job{}, err
	}
	job := runner.Job{Key: g.key, Token: g.req.Token, Grace: g.req.Train.Grace.Std(), Orphan: g.h.Orphan}
	leased(&job, g.req.Node)
	for local, device := range g.req.Node.Devices {
		name := g.rankName(local)
		job.Processes = append(job.Processes, runner.Process{
			Name: name, Argv: argv, Dir: g.path(codeDir), Log: logPath(g.dir, name), Near: near(device),
			Env: g.h.rankEnvironment(ctx, g.req, local, at, g.path(progressFile(local)), secrets),
		})
	}
	return job, nil
}

// lateLimit bounds the storing of a model after cancellation was requested.
const lateLimit = 2 * time.Minute

// see follows the job to its end and concludes.
func (g *gang) see(ctx context.Context, handle *runner.Handle) (models.RanksResult, error) {
	state, err := g.follow(ctx, handle)
	if err != nil {
		return models.RanksResult{}, g.h.stuck(err)
	}
	end := conclusion(state, g.req.Train, g.dir)
	g.logs.maskError(end.err)
	report := g.report(end.reason)
	report.Ended = ended(state)
	if done := state.Stopping == "" && end.err == nil; cancelRequested(ctx) && done {
		// The request came too late: nothing is left to save by not storing it.
		limited, stop := context.WithTimeout(context.WithoutCancel(ctx), lateLimit)
		defer stop()
		ctx = limited
	}
	if cancelRequested(ctx) {
		// A rank that was lost before the cancellation is worth telling: it may be
		// why the rest of the gang was cancelled.
		if end.err != nil && end.err.Kind == models.KindRankLost && state.Stopping != reasonCancelled {
			end.err.Details = report
			return models.RanksResult{}, end.err
		}
		return models.RanksResult{}, cancelled(report)
	}
	if end.err != nil {
		end.err.Details = report
		return models.RanksResult{}, end.err
	}
	result, err := g.conclude(ctx, report)
	var rejected *models.Error
	if errors.As(err, &rejected) && rejected.Kind == models.KindModelRejected {
		report.Reason = models.ExitNoModel
		rejected.Details = report
	}
	return result, err
}

// conclude stores what the ranks have left.
func (g *gang) conclude(ctx context.Context, report models.AttemptReport) (models.RanksResult, error) {
	g.phase(phaseUploading)
	detail, _ := g.read()
	result := models.RanksResult{Steps: detail.Step, Curve: detail.Curve, Reattached: detail.Reattached, Report: report,
		Host: g.h.facts(ctx, g.req.Node)}
	if g.leads() {
		if err := g.storeModel(ctx, &result); err != nil {
			return models.RanksResult{}, err
		}
		result.Metrics = g.progress.Metrics // all of them; nobody writes any more
	}
	if err := keepResult(g.path(resultFile), result); err != nil {
		return models.RanksResult{}, err
	}
	for _, name := range []string{checkpointDir, modelDir, codeDir, workDir, "resume", outOfFoldFile} {
		if err := runner.Remove(g.path(name)); err != nil {
			slog.Warn("left over", "path", g.path(name), "error", err)
		}
	}
	return result, nil
}
