package worker

import (
	"context"
	"errors"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

// errorKinds turns a *models.Error that an activity returns into a Temporal
// application error of the same kind, final or not as the kind says. Activities
// stay free of Temporal's error types.
type errorKinds struct {
	interceptor.WorkerInterceptorBase
}

func (*errorKinds) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &errorKindsActivity{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type errorKindsActivity struct {
	interceptor.ActivityInboundInterceptorBase
}

func (a *errorKindsActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	result, err := a.Next.ExecuteActivity(ctx, in)
	return result, ApplicationError(err)
}

// ApplicationError maps a contract error; any other error passes unchanged.
func ApplicationError(err error) error {
	var failed *models.Error
	if err == nil || !errors.As(err, &failed) {
		return err
	}
	if ctxErr := new(temporal.CanceledError); errors.As(err, &ctxErr) {
		return err
	}
	options := temporal.ApplicationErrorOptions{NonRetryable: !failed.Kind.Retryable()}
	if failed.Details != nil {
		options.Details = []any{failed.Details}
	}
	return temporal.NewApplicationErrorWithOptions(failed.Error(), string(failed.Kind), options)
}
