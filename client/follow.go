package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// ErrStoppedFollowing means: the context ended before the lifecycle did.
var ErrStoppedFollowing = errors.New("stopped following; the lifecycle goes on")

// Follow writes what happens in a lifecycle until it ends, and returns its
// result or, as *Failure, why it has none. When ctx ends first, Follow says
// how to come back and how to cancel, and returns ErrStoppedFollowing.
func (c *Client) Follow(ctx context.Context, workflowID string, out io.Writer) (models.LifecycleResult, error) {
	if err := printLines(out, c.heading(workflowID)); err != nil {
		return models.LifecycleResult{}, err
	}
	ended := make(chan outcome, 1)
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		var end outcome
		end.err = c.temporal.GetWorkflow(waiting, workflowID, "").Get(waiting, &end.result)
		ended <- end
	}()
	story := newNarrator(time.Now())
	ticker := time.NewTicker(c.poll)
	defer ticker.Stop()
	for {
		select {
		case end := <-ended:
			if ctx.Err() != nil {
				return models.LifecycleResult{}, c.stopped(workflowID, out)
			}
			return c.finish(ctx, workflowID, end, story, out)
		case <-ctx.Done():
			return models.LifecycleResult{}, c.stopped(workflowID, out)
		case <-ticker.C:
			if err := printLines(out, c.look(ctx, workflowID, story)); err != nil {
				return models.LifecycleResult{}, err
			}
		}
	}
}

// outcome is how a lifecycle ended.
type outcome struct {
	result models.LifecycleResult
	err    error
}

func (c *Client) heading(workflowID string) []string {
	lines := []string{"following " + workflowID}
	if page := c.page(workflowID); page != "" {
		lines = append(lines, "  "+page)
	}
	return lines
}

// look tells what changed. A look that fails is told as well, once: the
// lifecycle itself does not depend on it.
func (c *Client) look(ctx context.Context, workflowID string, story *narrator) []string {
	seen, err := c.observe(ctx, workflowID)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return story.tellTrouble(err, time.Now())
	}
	return story.tell(seen, time.Now())
}

// finish tells the last changes before the outcome: a short stage begins and
// ends between two looks.
func (c *Client) finish(ctx context.Context, workflowID string, end outcome, story *narrator, out io.Writer) (models.LifecycleResult, error) {
	lines := c.look(ctx, workflowID, story)
	if end.err == nil {
		lines = append(lines, story.tellResult(end.result, time.Now())...)
	}
	if err := printLines(out, lines); err != nil {
		return models.LifecycleResult{}, err
	}
	if end.err != nil {
		return models.LifecycleResult{}, failureOf(workflowID, end.err)
	}
	return end.result, nil
}

func (c *Client) stopped(workflowID string, out io.Writer) error {
	return errors.Join(ErrStoppedFollowing, printLines(out, []string{
		"",
		"stopped following; " + workflowID + " goes on",
		"  follow it again:  mainspring status --follow " + workflowID,
		"  cancel it:        temporal workflow cancel --address " + c.address + " --namespace " + c.namespace + " --workflow-id " + workflowID,
	}))
}

func printLines(out io.Writer, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return fmt.Errorf("write progress: %w", err)
		}
	}
	return nil
}

func printJSON(out io.Writer, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return printLines(out, []string{string(text)})
}
