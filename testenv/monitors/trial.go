package monitors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// Trial is one run of a story.
type Trial struct {
	Slot      *Slot
	Story     Story
	Champions []models.WatchRequest // what the steward says of versions 1 and 2
	// Days serves some of an act's days, which end before until, and says before
	// which day it stopped.
	Days func(ctx context.Context, t *Trial, from, until int) (to int, err error)

	gateway Gateway
	blocks  map[time.Time]models.Block // the newest of each
}

// Account is what a trial left.
type Account struct {
	Scenes []Scene `json:"scenes"`
	// Requests are those that the steward got, each ID once: what it has had
	// before it leaves alone.
	Requests []models.RetrainRequest  `json:"requests"`
	Runs     int                      `json:"-"`
	Steps    map[namespace.Moment]int `json:"-"` // at which a worker could die
	Deaths   []string                 `json:"-"`
}

// Scene is what is known when an act is over, but for what a wall clock says
// (Actions.At, Asked), for how often errands were begun (Begun), which depends on how
// often the monitor looked, and for the looks of single detectors at final
// blocks, which a new run does not get: the nearest one's and the state of all
// of them are there.
type Scene struct {
	Blocks []models.Block      `json:"blocks"` // all since the beginning
	State  models.MonitorState `json:"state"`  // without them
}

// settleWithin bounds the time for an act, deaths included.
const settleWithin = 2 * time.Minute

// Live lives through the story.
func (t *Trial) Live(ctx context.Context) (account Account, err error) {
	t.gateway = Gateway{Store: t.Slot.Store, World: t.Story.World}
	t.blocks = map[time.Time]models.Block{}
	if err := t.begin(ctx); err != nil {
		return account, err
	}
	day := 0
	for i, act := range t.Story.Acts {
		for day < act.Until {
			if day, err = t.Days(ctx, t, day, act.Until); err != nil {
				return account, err
			}
			if err := t.rest(ctx); err != nil {
				return account, fmt.Errorf("act %d, day %d: %w", i, day, err)
			}
		}
		if err := t.answer(ctx, act); err != nil {
			return account, fmt.Errorf("act %d: %w", i, err)
		}
		if err := t.order(ctx, act); err != nil {
			return account, fmt.Errorf("act %d: %w", i, err)
		}
		scene, err := t.scene(ctx)
		if err != nil {
			return account, err
		}
		account.Scenes = append(account.Scenes, scene)
	}
	return account, t.close(ctx, &account)
}

// AtOnce serves all days of an act.
func AtOnce(ctx context.Context, t *Trial, _, until int) (to int, err error) {
	return until, t.serve(ctx, until)
}

// Daily serves one day.
func Daily(ctx context.Context, t *Trial, from, _ int) (to int, err error) {
	return from + 1, t.serve(ctx, from+1)
}

func (t *Trial) serve(ctx context.Context, until int) error {
	return t.gateway.Serve(ctx, t.Story.World.Moment(until))
}

// begin starts the desk where the steward's messages go, and the monitor as the
// steward does. Its workflow tasks are given up soon when a worker dies.
func (t *Trial) begin(ctx context.Context) error {
	endpoint := t.Story.World.Endpoint
	if _, err := t.Slot.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: models.StewardID(endpoint), TaskQueue: deskQueue,
	}, deskWorkflow); err != nil {
		return err
	}
	_, err := t.Slot.Temporal.SignalWithStartWorkflow(ctx, models.MonitorID(endpoint), models.SignalWatch, t.Champions[0],
		client.StartWorkflowOptions{ID: models.MonitorID(endpoint), TaskQueue: models.TaskQueue, WorkflowTaskTimeout: 2 * time.Second},
		models.MonitorWorkflow, models.MonitorState{Endpoint: endpoint})
	return err
}

func (t *Trial) signal(ctx context.Context, name string, message any) error {
	return namespace.Eventually(ctx, settleWithin, func() error {
		return t.Slot.Temporal.SignalWorkflow(ctx, models.MonitorID(t.Story.World.Endpoint), "", name, message)
	})
}

// rest has the monitor look, and returns when it has nothing more to do.
func (t *Trial) rest(ctx context.Context) error {
	if err := t.signal(ctx, models.SignalCheck, struct{}{}); err != nil {
		return err
	}
	return t.await(ctx, func(status models.MonitorStatus) error {
		if !status.Watermark.Equal(t.gateway.served) {
			return fmt.Errorf("it has seen the log up to %s, not %s", status.Watermark, t.gateway.served)
		}
		return nil
	})
}

// await returns when the monitor is idle and as wanted.
func (t *Trial) await(ctx context.Context, wanted func(models.MonitorStatus) error) error {
	return namespace.Eventually(ctx, settleWithin, func() error {
		before, err := t.busy(ctx)
		if err != nil {
			return err
		}
		var status models.MonitorStatus
		if err := t.Slot.Query(ctx, models.MonitorID(t.Story.World.Endpoint), &status); err != nil {
			return err
		}
		if err := wanted(status); err != nil {
			return err
		}
		after, err := t.busy(ctx)
		if err == nil && after != before {
			err = errors.New("it goes on meanwhile")
		}
		if err != nil {
			return err
		}
		for _, block := range status.Blocks {
			t.blocks[block.Start] = block
		}
		return nil
	})
}

// busy is an error while the monitor has something to do; else it names the
// state of its history.
func (t *Trial) busy(ctx context.Context) (history string, err error) {
	described, err := t.Slot.Temporal.DescribeWorkflowExecution(ctx, models.MonitorID(t.Story.World.Endpoint), "")
	if err != nil {
		return "", err
	}
	if waiting := described.GetPendingActivities(); len(waiting) > 0 {
		return "", fmt.Errorf("it waits for %s, try %d: %s", waiting[0].GetActivityType().GetName(), waiting[0].GetAttempt(), waiting[0].GetLastFailure().GetMessage())
	}
	if task := described.GetPendingWorkflowTask(); task != nil {
		return "", fmt.Errorf("it decides, try %d", task.GetAttempt())
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return "", fmt.Errorf("it is %s", info.GetStatus())
	}
	return fmt.Sprint(info.GetExecution().GetRunId(), info.GetHistoryLength()), nil
}

// answer says what became of the alarm that waits.
func (t *Trial) answer(ctx context.Context, act Act) error {
	if act.Answer == "" {
		return nil
	}
	var status models.MonitorStatus
	if err := t.Slot.Query(ctx, models.MonitorID(t.Story.World.Endpoint), &status); err != nil {
		return err
	}
	if status.Pending == "" {
		text, _ := json.Marshal(status) // it marshalled before
		return fmt.Errorf("no alarm waits for the steward's %q on day %d: %s", act.Answer, act.Until, text)
	}
	if act.Answer == models.RetrainPromoted {
		if err := t.signal(ctx, models.SignalWatch, t.Champions[1]); err != nil {
			return err
		}
	}
	if err := t.signal(ctx, models.SignalRetrainSettled, act.settled(status.Pending)); err != nil {
		return err
	}
	return t.await(ctx, func(status models.MonitorStatus) error {
		if status.Pending != "" {
			return fmt.Errorf("the alarm %s is still open", status.Pending)
		}
		return nil
	})
}

// order orders what a person does; an order that is sent again is the same.
func (t *Trial) order(ctx context.Context, act Act) error {
	for i, action := range act.Orders {
		if err := namespace.Eventually(ctx, settleWithin, func() error {
			asking, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			handle, err := t.Slot.Temporal.UpdateWorkflow(asking, client.UpdateWorkflowOptions{
				WorkflowID: models.MonitorID(t.Story.World.Endpoint), UpdateID: fmt.Sprintf("order-%d-%d", act.Until, i), UpdateName: models.UpdateMonitor,
				WaitForStage: client.WorkflowUpdateStageCompleted,
				Args:         []any{models.MonitorOrder{Action: action, By: "ada", Reason: "it is part of the story"}},
			})
			if err != nil {
				return err
			}
			return handle.Get(asking, nil)
		}); err != nil {
			return fmt.Errorf("order %s: %w", action, err)
		}
	}
	return t.await(ctx, func(models.MonitorStatus) error { return nil })
}

// scene is the present one.
func (t *Trial) scene(ctx context.Context) (scene Scene, err error) {
	var status models.MonitorStatus
	if err := t.Slot.Query(ctx, models.MonitorID(t.Story.World.Endpoint), &status); err != nil {
		return scene, err
	}
	scene.State, scene.State.Blocks, scene.State.Begun, scene.State.Asked = status.MonitorState, nil, 0, time.Time{}
	scene.State.Actions = slices.Clone(scene.State.Actions)
	for i := range scene.State.Actions {
		scene.State.Actions[i].At = time.Time{}
	}
	for _, start := range slices.SortedFunc(maps.Keys(t.blocks), time.Time.Compare) {
		block := t.blocks[start]
		if block.Final {
			block.Looks = nil
		}
		scene.Blocks = append(scene.Blocks, block)
	}
	return scene, nil
}

// close counts requests, runs, steps and deaths.
func (t *Trial) close(ctx context.Context, account *Account) (err error) {
	endpoint := t.Story.World.Endpoint
	var requests []models.RetrainRequest
	if err := t.Slot.Query(ctx, models.StewardID(endpoint), &requests); err != nil {
		return err
	}
	for _, r := range requests {
		i := slices.IndexFunc(account.Requests, func(had models.RetrainRequest) bool { return had.RequestID == r.RequestID })
		switch {
		case i < 0:
			account.Requests = append(account.Requests, r)
		case r != account.Requests[i]:
			return fmt.Errorf("request %s came twice and not the same: %+v and %+v", r.RequestID, account.Requests[i], r)
		}
	}
	if account.Deaths, err = t.Slot.Deaths(); err != nil {
		return err
	}
	return t.count(ctx, account)
}

// count reads the histories of all runs, the newest first.
func (t *Trial) count(ctx context.Context, account *Account) error {
	account.Steps = map[namespace.Moment]int{}
	id := models.MonitorID(t.Story.World.Endpoint)
	for run := ""; ; account.Runs++ {
		before := ""
		events := t.Slot.Temporal.GetWorkflowHistory(ctx, id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			if err != nil {
				return err
			}
			switch event.GetEventType() {
			case enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
				before = event.GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
			case enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
				account.Steps[namespace.AtDecision]++
			case enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
				account.Steps[namespace.AtMessage]++
			default: // neither a step nor a message
			}
		}
		if run = before; run == "" {
			break
		}
	}
	account.Runs++
	account.Steps[namespace.AtStart], account.Steps[namespace.AtEnd] = account.Steps[namespace.AtDecision], account.Steps[namespace.AtDecision]
	return nil
}
