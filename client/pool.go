package client

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

// Pool asks a device pool for its state.
func (c *Client) Pool(ctx context.Context, pool string) (models.PoolStatus, error) {
	var status models.PoolStatus
	err := c.poolError(pool, c.query(ctx, models.PoolID(pool), &status))
	return status, err
}

// ExplainWait says why a request waits, or the first that waits of a holder;
// empty when none does.
func (c *Client) ExplainWait(ctx context.Context, pool, requestOrHolder string) (string, error) {
	asking, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	value, err := c.temporal.QueryWorkflow(asking, models.PoolID(pool), "", models.ExplainQuery, requestOrHolder)
	if err != nil {
		if ctx.Err() == nil && noAnswer(err) {
			return "", noWorker(pool, err)
		}
		return "", c.poolError(pool, err)
	}
	var why string
	if err := value.Get(&why); err != nil {
		return "", fmt.Errorf("decode the answer of pool %s: %w", pool, err)
	}
	return why, nil
}

// Operate gives a pool an operator's order. An order that the pool does not
// take is an error that says what is wrong with it.
func (c *Client) Operate(ctx context.Context, pool string, order models.PoolOrder) (models.PoolOrderResult, error) {
	asking, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var result models.PoolOrderResult
	handle, err := c.temporal.UpdateWorkflow(asking, sdk.UpdateWorkflowOptions{
		WorkflowID: models.PoolID(pool), UpdateName: models.UpdateOperate, Args: []any{order},
		WaitForStage: sdk.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(asking, &result)
	}
	var refused *temporal.ApplicationError
	switch {
	case err == nil:
		return result, nil
	case errors.As(err, &refused):
		return result, fmt.Errorf("pool %s: %s", pool, refused.Message())
	case ctx.Err() == nil && (noAnswer(err) || asking.Err() != nil):
		return result, noWorker(pool, err)
	default:
		return result, c.poolError(pool, err)
	}
}

// poolError names the pool that is not there.
func (c *Client) poolError(pool string, err error) error {
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return fmt.Errorf("there is no pool %s at %s: `mainspring worker --pool %s` keeps one running", pool, c.address, pool)
	}
	return err
}

func noWorker(pool string, err error) error {
	return fmt.Errorf("no worker answers for pool %s: is `mainspring worker` running? %w", pool, err)
}
