package registry

import (
	"context"
	"os"

	"github.com/mainspring-ml/mainspring/client"
)

// printStatus does what `mainspring status` does.
func printStatus(ctx context.Context, workflowID string) error {
	c, err := client.Dial(ctx, client.DialOptions{})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.PrintStatus(ctx, workflowID, os.Stdout)
}
