package monitors

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/mainspring-ml/mainspring/models"
)

// Source is the part of Temporal's client that a look needs.
type Source interface {
	ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
	QueryWorkflow(ctx context.Context, workflowID, runID, query string, args ...any) (converter.EncodedValue, error)
}

var _ Source = client.Client(nil)

const (
	kept       = 15 * time.Second        // how long a look's answers are shown
	patience   = 1500 * time.Millisecond // how long a scrape waits for a look
	lookLimit  = 10 * time.Second        // how long a look may take
	stale      = time.Minute             // older answers are not shown while a look goes on
	mostListed = 500                     // monitors; more would make the look too slow
	atOnce     = 8                       // monitors asked at a time
)

// figures are what one look found.
type figures struct {
	at       time.Time
	err      error // nobody could be asked
	monitors []answer
}

// answer is one monitor's; without a status it did not answer.
type answer struct {
	endpoint string
	status   *models.MonitorStatus
}

// looker keeps the last look's answers.
type looker struct {
	source Source
	clock  func() time.Time
	wait   time.Duration // how long current waits for a look

	mu      sync.Mutex
	last    figures
	looking chan struct{} // closed when the look under way ends; nil: none is
}

// current returns at most wait later: fresh figures, or else those of before
// while they are not stale; false: there are none.
func (l *looker) current() (figures, bool) {
	l.mu.Lock()
	if l.clock().Sub(l.last.at) < kept {
		defer l.mu.Unlock()
		return l.last, true
	}
	if l.looking == nil {
		l.looking = make(chan struct{})
		go l.look(l.looking)
	}
	looking := l.looking
	l.mu.Unlock()
	timer := time.NewTimer(l.wait)
	defer timer.Stop()
	select {
	case <-looking:
	case <-timer.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, l.clock().Sub(l.last.at) < stale
}

// look goes on when the scrape that began it has given up.
func (l *looker) look(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	found := figures{}
	names, err := l.endpoints(ctx)
	if err != nil {
		found.err = err
	} else {
		found.monitors = l.ask(ctx, names)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	found.at = l.clock()
	if (found.err == nil) != (l.last.err == nil) {
		slog.Warn("monitors' figures on /metrics", "available", found.err == nil, "error", found.err)
	}
	l.last, l.looking = found, nil
	close(done)
}

// endpoints are those that a monitor runs for, in order.
func (l *looker) endpoints(ctx context.Context) ([]string, error) {
	var names []string
	request := &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: 100, Query: fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", models.MonitorWorkflow),
	}
	for {
		page, err := l.source.ListWorkflow(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list monitors: %w", err)
		}
		for _, execution := range page.GetExecutions() {
			if name, ok := strings.CutPrefix(execution.GetExecution().GetWorkflowId(), models.MonitorID("")); ok {
				names = append(names, name)
			}
		}
		request.NextPageToken = page.GetNextPageToken()
		if len(request.NextPageToken) == 0 || len(names) >= mostListed {
			slices.Sort(names)
			return slices.Compact(names), nil
		}
	}
}

func (l *looker) ask(ctx context.Context, names []string) []answer {
	answers := make([]answer, len(names))
	turns := make(chan struct{}, atOnce)
	var asked sync.WaitGroup
	for i, name := range names {
		asked.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			answers[i].endpoint = name
			var status models.MonitorStatus
			value, err := l.source.QueryWorkflow(ctx, models.MonitorID(name), "", models.StatusQuery)
			if err == nil {
				err = value.Get(&status)
			}
			if err != nil {
				slog.Debug("a monitor does not answer", "endpoint", name, "error", err)
				return
			}
			answers[i].status = &status
		})
	}
	asked.Wait()
	return answers
}
