package workflows

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
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
	return begin(ctx, method, req).Get(ctx, nil)
}

// begin is do without waiting.
func begin[A, Req any](ctx workflow.Context, method func(A, context.Context, Req) error, req Req) workflow.Future {
	return workflow.ExecuteActivity(ctx, method, req)
}

// aside is call inside the workflow task itself, for what takes milliseconds and
// may be repeated: a local activity. It is tried for some seconds only.
func aside[A, Req, Res any](ctx workflow.Context, method func(A, context.Context, Req) (Res, error), req Req) (Res, error) {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 5 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, MaximumAttempts: 3},
	})
	return future[Res]{workflow.ExecuteLocalActivity(ctx, nameOf(method), req)}.get(ctx)
}

// nameOf is the activity type of an interface method expression. Local
// activities need it spelled out: they would run the expression itself.
func nameOf(method any) string {
	full := runtime.FuncForPC(reflect.ValueOf(method).Pointer()).Name()
	return full[strings.LastIndexByte(full, '.')+1:]
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

// awaitWithin is workflow.AwaitWithTimeout that cancels its timer: what waits
// often, and mostly not for long, must not be woken by all those it left behind.
func awaitWithin(ctx workflow.Context, atMost time.Duration, condition func() bool) (ok bool, err error) {
	timing, cancel := workflow.WithCancel(ctx)
	defer cancel()
	timer := workflow.NewTimer(timing, atMost)
	err = workflow.Await(ctx, func() bool { return condition() || timer.IsReady() })
	return condition(), err
}

// anyWaits reports whether a message waits in one of these signal channels.
func anyWaits(ctx workflow.Context, signals ...string) bool {
	return slices.ContainsFunc(signals, func(signal string) bool { return workflow.GetSignalChannel(ctx, signal).Len() > 0 })
}
