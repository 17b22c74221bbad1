package client

import (
	"context"
	"errors"
	"fmt"
	"io"
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
