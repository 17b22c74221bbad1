package runner

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mainspring-ml/mainspring/internal/runner/fencing"
	"github.com/mainspring-ml/mainspring/models"
)

// fence is the content of fences/<device>.json.
type fence struct {
	Claims []fencing.Claim `json:"claims"` // the newest first
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

func (f fences) read(device string) ([]fencing.Claim, error) {
	var seen fence
	_, err := readJSON(f.path(device, ".json"), &seen)
	return seen.Claims, err
}

// check refuses a job that has no claim on one of its devices, or had to make
// way there.
func (f fences) check(job Job) error {
	for _, device := range job.Devices {
		claims, err := f.read(device)
		if err != nil {
			return err
		}
		if !fencing.Admits(claims, job.Token, job.Key) {
			return stale(device, fmt.Sprintf("job %s with token %d had to make way for a newer one", job.Key, job.Token))
		}
	}
	return nil
}

// raise records the job's claims, and which older claims had to make way. Either
// all devices have room for it or nothing changes. The caller holds the devices;
// over reports whether the job with a key does not run any more.
func (f fences) raise(job Job, over func(key string) (bool, error)) error {
	decided := make([][]fencing.Claim, len(job.Devices))
	for i, device := range job.Devices {
		held, err := f.read(device)
		if err != nil {
			return err
		}
		for j, c := range held {
			if held[j].Over = c.Over; !c.Over && c.Key != job.Key {
				if held[j].Over, err = over(c.Key); err != nil {
					return err
				}
			}
		}
		decided[i], _, err = fencing.Decide(held, fencing.Claim{Token: job.Token, Key: job.Key, Milli: job.Shares[device]})
		var refusal *fencing.Refusal
		if errors.As(err, &refusal) {
			return stale(device, refusal.Error())
		}
		if err != nil {
			return err
		}
	}
	for i, device := range job.Devices {
		if err := writeJSON(f.path(device, ".json"), fence{decided[i]}); err != nil {
			return fmt.Errorf("raise the fence of %s: %w", device, err)
		}
	}
	return nil
}

func stale(device, message string) error {
	return &models.Error{
		Kind: models.KindStaleFence, Subject: device, Message: message,
		Hint: "the lease behind the older token is void; ask for a new one",
	}
}
