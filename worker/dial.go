package worker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"github.com/mainspring-ml/mainspring/internal/claimcheck"
	"github.com/mainspring-ml/mainspring/internal/telemetry"
)

// Dial connects to Temporal as the standard environment says
// (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_PROFILE, a temporal.toml). A
// server that does not answer yet is waited for, loudly, until ctx ends.
func Dial(ctx context.Context, outlets *telemetry.Telemetry) (client.Client, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, fmt.Errorf("temporal configuration: %w", err)
	}
	// Large payloads are kept in the artifact store: see claimcheck.
	if options.DataConverter, err = claimcheck.FromEnv(os.Getenv); err != nil {
		return nil, fmt.Errorf("artifact store: %w", err)
	}
	options.Logger = log.NewStructuredLogger(slog.Default())
	if err := outlets.Apply(&options); err != nil {
		return nil, err
	}
	pause := 250 * time.Millisecond
	for {
		c, err := client.DialContext(ctx, options)
		if err == nil {
			return c, nil
		}
		slog.Warn("temporal does not answer; trying again", "address", options.HostPort, "in", pause, "error", err)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("temporal at %s: %w", options.HostPort, ctx.Err())
		case <-time.After(pause):
			pause = min(2*pause, 5*time.Second)
		}
	}
}
