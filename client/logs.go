package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// LogStore is the part of an artifact store that logs are read from.
type LogStore interface {
	List(ctx context.Context, prefix string) ([]artifact.Info, error)
	Get(ctx context.Context, key string) (io.ReadCloser, artifact.Info, error)
}

// LogOptions say which logs are written. The zero value is what all ranks of the
// newest attempt have written so far.
type LogOptions struct {
	Follow  bool // go on until the training ends, attempt after attempt
	Rank    *int // nil: all
	Attempt int  // 1 for the first; 0: the newest and, when following, those after it
	Tail    int  // only the last lines of each rank; 0: all
	// Notes receives what is said about the logs, such as that there are none.
	Notes io.Writer
}

// Logs writes what the ranks of a training have written, given the workflow ID
// of the training or of its lifecycle. It reads the artifact store alone and so
// works while no agent and no worker does.
func (c *Client) Logs(ctx context.Context, workflowID string, store LogStore, options LogOptions, out io.Writer) error {
	training, err := c.findTraining(ctx, workflowID)
	if errors.Is(err, errNoTraining) && options.Follow {
		training, err = c.awaitTraining(ctx, workflowID, options.Notes)
	}
	if err != nil {
		return err
	}
	r := &logReader{store: store, options: options, out: out, runKey: training.runKey, ranks: map[logID]*rankLog{}, attempt: options.Attempt}
	ticker := time.NewTicker(c.poll)
	defer ticker.Stop()
	for told, trouble := false, false; ; {
		// Asked before the store: what is stored before the end is still read.
		running, err := c.runs(ctx, training.workflowID)
		if err == nil {
			err = r.look(ctx, !running || !options.Follow)
		}
		switch {
		case ctx.Err() != nil:
			return stoppedReading(workflowID, options)
		case err != nil && !options.Follow:
			return err
		case err != nil: // the training does not depend on it
			if !trouble {
				fmt.Fprintf(options.Notes, "can't read at the moment, trying again: %v\n", err)
			}
			trouble = true
		case !running || !options.Follow:
			return r.finish(training.workflowID)
		case len(r.ranks) == 0 && !told:
			told, trouble = true, false
			fmt.Fprintf(options.Notes, "%s has written nothing yet; waiting\n", training.workflowID)
		default:
			trouble = false
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return stoppedReading(workflowID, options)
		}
	}
}

func stoppedReading(workflowID string, options LogOptions) error {
	fmt.Fprintf(options.Notes, "\nstopped reading; %s goes on\n", workflowID)
	return ErrStoppedFollowing
}

var errNoTraining = errors.New("it has not come to training")

// training is a Train workflow and the key its logs are kept under.
type training struct{ workflowID, runKey string }

// findTraining accepts a training or the lifecycle it belongs to.
func (c *Client) findTraining(ctx context.Context, workflowID string) (training, error) {
	description, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	if absent(err) {
		return training{}, fmt.Errorf("there is no workflow %s at %s: list them with `temporal workflow list`", workflowID, c.address)
	}
	if err != nil {
		return training{}, fmt.Errorf("describe %s: %w", workflowID, err)
	}
	typed := description.GetWorkflowExecutionInfo().GetType().GetName()
	switch typed {
	case models.TrainWorkflow:
	case models.LifecycleWorkflow:
		lifecycle := workflowID
		workflowID = models.StageID(lifecycle, models.StageTrain)
		description, err = c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
		if absent(err) {
			return training{}, fmt.Errorf("%s has no logs: %w; see `mainspring status %s`", lifecycle, errNoTraining, lifecycle)
		}
		if err != nil {
			return training{}, fmt.Errorf("describe %s: %w", workflowID, err)
		}
	default:
		return training{}, fmt.Errorf("%s is a %s and has no logs: name a lifecycle or its training", workflowID, typed)
	}
	first := description.GetWorkflowExecutionInfo().GetFirstRunId()
	if first == "" {
		first = description.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	}
	return training{workflowID, models.TrainRunKey(c.namespace, workflowID, first)}, nil
}

// awaitTraining waits until a lifecycle has come to training, or has ended.
func (c *Client) awaitTraining(ctx context.Context, lifecycle string, notes io.Writer) (training, error) {
	fmt.Fprintf(notes, "%s has not come to training yet; waiting\n", lifecycle)
	ticker := time.NewTicker(c.poll)
	defer ticker.Stop()
	for {
		running, err := c.runs(ctx, lifecycle)
		if err == nil {
			var found training
			found, err = c.findTraining(ctx, lifecycle)
			if !errors.Is(err, errNoTraining) || !running {
				return found, err
			}
			err = nil
		}
		if err != nil {
			return training{}, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return training{}, stoppedReading(lifecycle, LogOptions{Notes: notes})
		}
	}
}

// runs reports whether a workflow has not ended.
func (c *Client) runs(ctx context.Context, workflowID string) (bool, error) {
	description, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return false, nil // its history was deleted meanwhile
	}
	if err != nil {
		return false, fmt.Errorf("describe %s: %w", workflowID, err)
	}
	return description.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

type logID struct{ attempt, rank int }

// rankLog is how far one rank's log was read.
type rankLog struct {
	next    int64  // offset of the first byte that was not read
	partial []byte // of a line that has no end yet
	lines   [][]byte
}

// logReader writes logs as they grow in the store.
type logReader struct {
	store   LogStore
	options LogOptions
	out     io.Writer
	runKey  string
	attempt int // the oldest that is shown; 0: not chosen yet
	shown   int // the newest attempt that was announced
	ranks   map[logID]*rankLog
	tailed  bool // the last lines of what was there were shown
}

// look writes what is new; last says that it is the last look.
func (r *logReader) look(ctx context.Context, last bool) error {
	listed, err := r.store.List(ctx, models.LogPrefix(r.runKey))
	if err != nil {
		return fmt.Errorf("list the logs: %w", err)
	}
	chunks := r.choose(listed)
	ids, newest := map[logID]bool{}, 0
	for _, c := range chunks {
		id := logID{c.Attempt, c.Rank}
		ids[id], newest = true, max(newest, c.Attempt)
		if err := r.read(ctx, id, c); err != nil {
			return err
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(ids), compareLogs) {
		if err := r.write(id, r.several(), last || id.attempt < newest); err != nil {
			return err
		}
	}
	r.tailed = r.tailed || len(ids) > 0
	return nil
}

// several reports whether lines must say which rank they are of.
func (r *logReader) several() bool {
	ranks := map[int]bool{}
	for id := range r.ranks {
		ranks[id.rank] = true
	}
	return len(ranks) > 1
}

func compareLogs(a, b logID) int {
	if a.attempt != b.attempt {
		return a.attempt - b.attempt
	}
	return a.rank - b.rank
}

type storedChunk struct {
	models.LogChunk
	key  string
	size int64
}

// choose keeps the pieces that are asked for, in order.
func (r *logReader) choose(listed []artifact.Info) []storedChunk {
	var chunks []storedChunk
	newest := 0
	for _, info := range listed {
		chunk, ok := models.ParseLogChunk(r.runKey, info.Key)
		if !ok || r.options.Rank != nil && *r.options.Rank != chunk.Rank {
			continue
		}
		chunks = append(chunks, storedChunk{chunk, info.Key, info.Size})
		newest = max(newest, chunk.Attempt)
	}
	if r.attempt == 0 {
		r.attempt = newest
	}
	return slices.DeleteFunc(chunks, func(c storedChunk) bool {
		return c.Attempt < r.attempt || r.options.Attempt > 0 && c.Attempt != r.options.Attempt
	})
}

// read takes what a piece has beyond what was read.
func (r *logReader) read(ctx context.Context, id logID, c storedChunk) error {
	log := r.ranks[id]
	if log == nil {
		log = &rankLog{}
		r.ranks[id] = log
	}
	if c.Offset+c.size <= log.next {
		return nil
	}
	body, _, err := r.store.Get(ctx, c.key)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	data = data[min(max(log.next-c.Offset, 0), int64(len(data))):]
	log.next = max(log.next, c.Offset) + int64(len(data))
	data = append(log.partial, data...)
	for {
		line, rest, complete := bytes.Cut(data, []byte{'\n'})
		if !complete {
			log.partial = bytes.Clone(data)
			break
		}
		log.lines, data = append(log.lines, bytes.Clone(line)), rest
	}
	// Only the end of what is there is wanted; it need not all be remembered.
	if tail := r.options.Tail; tail > 0 && !r.tailed && len(log.lines) > tail {
		log.lines = slices.Clone(log.lines[len(log.lines)-tail:])
	}
	return nil
}

// write writes the lines that are complete and, at the end, what is left.
func (r *logReader) write(id logID, named, last bool) error {
	log := r.ranks[id]
	lines := log.lines
	log.lines = nil
	if last && len(log.partial) > 0 {
		lines, log.partial = append(lines, log.partial), nil
	}
	if tail := r.options.Tail; tail > 0 && !r.tailed && len(lines) > tail {
		lines = lines[len(lines)-tail:]
	}
	var text strings.Builder
	if id.attempt > r.shown && len(lines) > 0 {
		if r.shown > 0 {
			fmt.Fprintf(&text, "--- attempt %d ---\n", id.attempt)
		}
		r.shown = id.attempt
	}
	for _, line := range lines {
		if named {
			fmt.Fprintf(&text, "rank-%d | ", id.rank)
		}
		text.Write(bytes.TrimSuffix(line, []byte{'\r'}))
		text.WriteByte('\n')
	}
	if _, err := io.WriteString(r.out, text.String()); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	return nil
}

// finish says when there was nothing to write.
func (r *logReader) finish(workflowID string) error {
	if len(r.ranks) > 0 {
		return nil
	}
	what := "no rank has written anything that was stored"
	if r.options.Rank != nil || r.options.Attempt > 0 {
		what = "nothing is stored of this rank and attempt; leave --rank and --attempt out to see what there is"
	}
	_, err := fmt.Fprintf(r.options.Notes, "%s: %s\n", workflowID, what)
	return err
}
