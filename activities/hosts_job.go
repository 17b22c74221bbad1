package activities

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/mainspring-ml/mainspring/internal/runner"
)

// awaitJob touches a job until it has ended. It stops the job for the reason
// that look gives, if any, and for the other one when cancellation was
// requested; when the attempt ends for any other reason, the job goes on and
// awaitJob returns an error.
func (h *Hosts) awaitJob(ctx context.Context, handle *runner.Handle, cancelled string, look func(runner.State) (stop string)) (runner.State, error) {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		state, ended, err := handle.Poll()
		if err != nil || ended {
			return state, err
		}
		if err := handle.Touch(); err != nil {
			return state, err
		}
		if why := look(state); why != "" {
			return handle.Stop(context.WithoutCancel(ctx), why)
		}
		select {
		case <-ticker.C:
		case <-agentStops(ctx):
			return state, h.agentLeaves()
		case <-ctx.Done():
			if !cancelRequested(ctx) {
				return state, h.agentLeaves()
			}
			return handle.Stop(context.WithoutCancel(ctx), cancelled)
		}
	}
}

// earlierResult finds the result of an attempt whose answer did not arrive.
func earlierResult[T any](path string) (result T, found bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return result, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &result)
	}
	return result, err == nil, err
}

// keepResult writes what earlierResult finds: whole or not at all.
func keepResult(path string, result any) error {
	partial := path + ".partial"
	return errors.Join(writeJSON(partial, result), os.Rename(partial, path))
}
