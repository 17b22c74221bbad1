package workflows

import (
	"context"

	"go.temporal.io/sdk/workflow"
)

// call runs an activity named by an interface method expression, such as
// models.Registry.CreateModelVersion, and waits for its result. The compiler
// checks request and result; nothing but the contract is imported.
func call[A, Req, Res any](ctx workflow.Context, method func(A, context.Context, Req) (Res, error), req Req) (Res, error) {
	return start(ctx, method, req).get(ctx)
}

// do is call for an activity without a result.
func do[A, Req any](ctx workflow.Context, method func(A, context.Context, Req) error, req Req) error {
	return workflow.ExecuteActivity(ctx, method, req).Get(ctx, nil)
}

// start runs an activity without waiting for it.
func start[A, Req, Res any](ctx workflow.Context, method func(A, context.Context, Req) (Res, error), req Req) future[Res] {
	return future[Res]{workflow.ExecuteActivity(ctx, method, req)}
}

// child runs a child workflow by type name and waits for its result.
func child[Res any](ctx workflow.Context, workflowType string, input any) (Res, error) {
	return future[Res]{workflow.ExecuteChildWorkflow(ctx, workflowType, input)}.get(ctx)
}

// future is a workflow.Future that knows its result.
type future[Res any] struct{ workflow.Future }

func (f future[Res]) get(ctx workflow.Context) (result Res, err error) {
	err = f.Get(ctx, &result)
	return result, err
}

// drain receives everything that waits in a signal channel.
func drain[T any](ctx workflow.Context, signal string, handle func(T)) {
	channel := workflow.GetSignalChannel(ctx, signal)
	for {
		var message T
		if !channel.ReceiveAsync(&message) {
			return
		}
		handle(message)
	}
}

// listen handles a signal's messages as they come, for the workflow's life.
func listen[T any](ctx workflow.Context, signal string, handle func(T)) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		channel := workflow.GetSignalChannel(ctx, signal)
		for {
			var message T
			if !channel.Receive(ctx, &message) {
				return
			}
			handle(message)
		}
	})
}
