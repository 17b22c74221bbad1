package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// prepareAgain is the pause before the pool is asked for other hosts, when none
// of those it named answered.
const prepareAgain = 5 * time.Second

// prepare proves on a host that could be leased that code and environment can
// be had: a typing error in the requirements must not cost a device. What is
// built there is found again by the attempts that run there.
func (t *training) prepare(ctx workflow.Context) error {
	info := workflow.GetInfo(ctx)
	t.status.State = models.TrainPreparing
	for ask := 1; ; ask++ {
		request := models.HostsRequest{
			RequestID: fmt.Sprintf("%s#hosts-%d", info.WorkflowExecution.RunID, ask),
			Holder:    info.WorkflowExecution.ID, Resources: t.input.Train.Resources,
		}
		t.waitFor(ctx, request.RequestID, "a host of pool "+request.Resources.Pool+" to prepare the environment on")
		hosts, err := t.desk.hosts(ctx, request)
		t.waitFor(ctx, "", "")
		if err != nil {
			return err
		}
		for _, host := range hosts {
			err := t.prepareOn(ctx, host)
			if !silent(err) {
				return err
			}
			t.status.Waiting = fmt.Sprintf("another host to prepare the environment on: %s does not answer", host)
			t.show(ctx)
		}
		if err := workflow.Sleep(ctx, prepareAgain); err != nil {
			return err
		}
	}
}

func (t *training) prepareOn(ctx workflow.Context, host string) error {
	t.status.Waiting = "code and environment on " + host
	t.show(ctx)
	built, err := call(buildOnHost(ctx, host, "Prepare code and environment on "+host), models.Hosts.PrepareEnvironment,
		models.PrepareEnvironmentRequest{RunKey: t.runKey, Train: t.input.Train, Run: t.run})
	if err != nil {
		return err
	}
	t.status.Waiting = ""
	t.prepared = host + ": the host's own interpreter"
	if built.Digest != "" {
		t.prepared = fmt.Sprintf("%s: environment `%.12s`", host, built.Digest)
	}
	if built.Reused {
		t.prepared += ", which was there already"
	}
	return nil
}

// silent reports whether a host did not answer.
func silent(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout)
}

// buildOnHost is for the building of an environment, which downloads and may
// compile. An agent that restarts begins anew and finds what was completed.
func buildOnHost(ctx workflow.Context, host, summary string) workflow.Context {
	return workflow.WithStartToCloseTimeout(onHost(ctx, host, summary), time.Hour)
}
