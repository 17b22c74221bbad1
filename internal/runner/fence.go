package runner

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mainspring-ml/mainspring/models"
)

// fence is the content of fences/<device>.json.
type fence struct {
	Token int64  `json:"token"`
	Key   string `json:"key"` // of the job that raised it
}

// fences is the directory of a root's fences.
type fences string

func (f fences) path(device, extension string) string {
	return filepath.Join(string(f), url.PathEscape(device)+extension)
}

// hold locks the devices in sorted order, so that two holders can't wait for
// each other.
func (f fences) hold(ctx context.Context, devices []string) (release func(), err error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, err
	}
	var held []*lock
	release = func() {
		for _, l := range held {
			l.release()
		}
	}
	for _, device := range devices {
		l, err := waitLock(ctx, f.path(device, ".lock"))
		if err != nil {
			release()
			return nil, err
		}
		held = append(held, l)
	}
	return release, nil
}

// check refuses a job whose devices a newer job has claimed.
func (f fences) check(job Job) error {
	for _, device := range job.Devices {
		var seen fence
		if _, err := readJSON(f.path(device, ".json"), &seen); err != nil {
			return err
		}
		if seen.Token > job.Token || seen.Token == job.Token && seen.Key != "" && seen.Key != job.Key {
			return &models.Error{
				Kind:    models.KindStaleFence,
				Subject: device,
				Message: fmt.Sprintf("job %s has token %d, but job %s came with token %d", job.Key, job.Token, seen.Key, seen.Token),
				Hint:    "the lease behind the older token is void; ask for a new one",
			}
		}
	}
	return nil
}

// raise records the job as the newest. The caller holds the devices and has
// checked.
func (f fences) raise(job Job) error {
	for _, device := range job.Devices {
		if err := writeJSON(f.path(device, ".json"), fence{Token: job.Token, Key: job.Key}); err != nil {
			return fmt.Errorf("raise the fence of %s: %w", device, err)
		}
	}
	return nil
}
