package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// TransformOnHost implements models.Hosts. A task's turns are taken one after the
// other; those that have been taken before are found in the store.
func (h *Hosts) TransformOnHost(ctx context.Context, req models.TransformRequest) (models.TransformResult, error) {
	var result models.TransformResult
	if req.Key == "" || req.Preparation.ID == "" || req.Preparation.Data.Prepare == nil {
		return result, &models.Error{Kind: models.KindInvalidSpec, Subject: "data.prepare", Message: "a preparation on a host needs a key, an ID and a program"}
	}
	if req.Token == 0 { // without a lease nothing of the host is the job's alone
		req.Node = models.LeaseNode{Node: req.Node.Node}
	}
	began, at := time.Now(), &phases{who: fmt.Sprintf("partitions %d to %d", req.Task.From+1, req.Task.To)}
	at.enter("waiting")
	defer pulse(ctx, at.read)()
	// All turns are one job after the other: a lease's devices are one job's alone.
	job := fmt.Sprintf("prepare-%s-%d", req.Key, req.Token)
	release, err := h.claims.take(ctx, job)
	if err != nil {
		return result, err
	}
	defer release()
	kept := transforms{h.Store}
	partitions, err := kept.partitions(ctx, req.Preparation, req.Task)
	if err != nil {
		return result, err
	}
	var outputs []models.Partition
	for i, t := range turnsOf(req.Preparation.Data, partitions) {
		work := newHostTransform(h, req, job, t)
		work.log = artifact.URI(h.Store, snapshots.PreparationPrefix(req.Preparation.ID)+fmt.Sprintf("logs/%d.log", req.Task.From+i))
		work.phases = at
		left, err := work.take(ctx)
		if err != nil {
			return result, err
		}
		outputs = append(outputs, left...)
	}
	key, stays := taskKey(req.Preparation.ID, req.Task), false
	if result.Listing, stays, err = kept.keepTask(ctx, key, outputs); err != nil {
		return result, err
	}
	if !stays {
		return result, &models.Error{Kind: models.KindUnavailable, Subject: key,
			Message: "a collection has just deleted what the preparing program had left before", Hint: "it is tried again"}
	}
	result.Count, result.Seconds = len(outputs), time.Since(began).Seconds()
	for _, output := range outputs {
		result.Bytes += output.Size
	}
	return result, nil
}

// take finds what the turn has left, or runs its program.
func (w *hostTransform) take(ctx context.Context) ([]models.Partition, error) {
	key, err := w.turn.key()
	if err != nil {
		return nil, err
	}
	kept := transforms{w.h.Store}
	if left, found, err := kept.find(ctx, key); err != nil || found {
		return left, err
	}
	if err := w.makeRoom(ctx, key); err != nil {
		return nil, err
	}
	left, err := carryOut(ctx, w.errand, errandSteps[[]models.Partition]{prepare: w.prepare, watch: w.watch, conclude: w.conclude})
	if err != nil {
		return nil, err
	}
	if _, err := kept.keep(ctx, key, left); err != nil {
		return nil, err
	}
	return left, runner.Remove(w.dir)
}

// makeRoom removes the job of another turn, which has been taken: a job of this
// one stays, to be attached to.
func (w *hostTransform) makeRoom(ctx context.Context, turn string) error {
	before, err := os.ReadFile(w.path(turnFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if string(before) != turn {
		if handle, found, err := w.h.Runner.Attach(w.key); err != nil {
			return err
		} else if found {
			if _, err := handle.Stop(ctx, "another run of the preparing program begins"); err != nil {
				return w.h.stuck(err)
			}
		}
		if err := runner.Remove(w.dir); err != nil {
			return err
		}
	}
	return errors.Join(os.MkdirAll(w.dir, 0o700), os.WriteFile(w.path(turnFile), []byte(turn), 0o600))
}

// hostTransform is one turn of a preparing program, in a process of its own.
type hostTransform struct {
	*errand
	req      models.TransformRequest
	turn     turn
	progress progressTail
}

// Names in the job's directory beside those of a training.
const (
	preparerName = "prepare"
	turnFile     = "turn" // says whose job it is
	inputDir     = "input"
	outputDir    = "output"
	progressName = "progress.jsonl"
)

func newHostTransform(h *Hosts, req models.TransformRequest, job string, t turn) *hostTransform {
	w := &hostTransform{req: req, turn: t, errand: &errand{
		h: h, key: job, dir: h.Runner.Dir(job), process: preparerName,
		words: errandWords{noun: "preparing program", section: "data.prepare", code: "data.prepare.code", lighter: "hold less of the data at a time"},
		argv:  t.program.Command, env: t.program.Env, timeout: t.program.Timeout.Std(),
	}}
	w.fault = func(message, hint string) *models.Error {
		return &models.Error{
			Kind: models.KindPreparationFailed, Subject: "data.prepare, " + w.saw(), Message: message,
			Hint: cmp.Or(hint, "correct the program or the data; its whole log is "+w.log),
		}
	}
	w.progress.path = w.path(progressName)
	return w
}

// saw names what the program is given.
func (w *hostTransform) saw() string {
	name := dataset.PartitionName(w.turn.source, w.turn.inputs[0])
	if more := len(w.turn.inputs) - 1; more > 0 {
		return fmt.Sprintf("%s and %d more", name, more)
	}
	return name
}

// watch shows how far the program says that it is.
func (w *hostTransform) watch() {
	lines, err := w.progress.next()
	if err != nil || len(lines) == 0 {
		return // telling is the program's choice
	}
	if record, ok := parseProgress(lines[len(lines)-1].text); ok {
		told := fmt.Sprintf("%s, step %d", w.saw(), record.step)
		if record.of > 0 {
			told += fmt.Sprintf(" of %d", record.of)
		}
		w.enter(told)
	}
}

// prepare fetches what the program needs and says how to run it. When it can't,
// nothing of what was fetched stays: no job was started that would be cleared away
// some day.
func (w *hostTransform) prepare(ctx context.Context) (runner.Job, error) {
	job, err := w.fetch(ctx)
	if err != nil {
		if left := runner.Remove(w.dir); left != nil {
			err = errors.Join(err, left)
		}
	}
	return job, err
}

func (w *hostTransform) fetch(ctx context.Context) (runner.Job, error) {
	w.enter("fetching " + w.saw())
	for _, name := range []string{inputDir, outputDir, progressName} { // of a start that was interrupted
		if err := runner.Remove(w.path(name)); err != nil {
			return runner.Job{}, err
		}
	}
	if err := os.MkdirAll(w.path(outputDir), 0o700); err != nil {
		return runner.Job{}, err
	}
	if err := fetchPartitions(ctx, w.h.Store, w.turn, w.path(inputDir)); err != nil {
		return runner.Job{}, err
	}
	runs, err := w.program(ctx)
	if err != nil {
		return runner.Job{}, err
	}
	return w.job(runs, w.req.Token, w.req.Node), nil
}

func (w *hostTransform) program(ctx context.Context) (program, error) {
	spec := w.turn.program
	if len(spec.Command) == 0 {
		return program{}, &models.Error{Kind: models.KindInvalidSpec, Subject: "data.prepare.command", Message: "is missing", Hint: "name the program that prepares"}
	}
	params, err := paramsJSON("data.prepare", spec.Params)
	if err != nil {
		return program{}, err
	}
	runs := program{argv: slices.Clone(spec.Command)}
	log := &buildLog{
		ctx: ctx, store: w.h.Store, unlessReused: true, stop: func() {},
		uri: artifact.URI(w.h.Store, snapshots.PreparationPrefix(w.req.Preparation.ID)+"logs/environment-"+w.h.Node+".log"),
	}
	err = w.h.ownProgram(ctx, &runs, ownership{
		section: "data.prepare", dir: w.dir, code: spec.Code, environment: spec.Environment, env: spec.Env,
		cores: wholeCores(w.req.Node), log: log, building: func() { w.enter(phaseEnvironment) },
	})
	if err != nil {
		return program{}, err
	}
	runs.env.set(accel.Visibility(w.req.Node.Devices)...)
	runs.env.set(
		"MAINSPRING_DATA_DIR="+w.path(inputDir),
		"MAINSPRING_OUTPUT_DIR="+w.path(outputDir),
		"MAINSPRING_PARAMS="+params,
		"MAINSPRING_PROGRESS="+w.path(progressName),
		"MAINSPRING_WORK_DIR="+w.path(workDir),
	)
	runs.env.trace(ctx)
	return runs, nil
}

// conclude stores what the program has left.
func (w *hostTransform) conclude(ctx context.Context, _ *runner.Handle, _ runner.State) ([]models.Partition, error) {
	w.enter("storing what " + w.saw() + " became")
	files, others, err := outputFiles(w.path(outputDir), w.req.Preparation.Data)
	if err != nil {
		return nil, w.fault(err.Error(), "")
	}
	if len(files) == 0 {
		message := "the program ended well but left no file in MAINSPRING_OUTPUT_DIR"
		if others > 0 {
			message = fmt.Sprintf("the program ended well but left no file of a known format in MAINSPRING_OUTPUT_DIR, and %d others", others)
		}
		return nil, w.fault(message, "write Parquet, CSV or JSON lines there, with the ending of the format")
	}
	return storeFiles(ctx, w.h.Store, w.path(outputDir), files)
}
