package mlflow

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter is the longest pause that a server may ask for within a call.
// One that asks for more gets it from the caller, who finds it in the error.
const maxRetryAfter = 10 * time.Second

// do carries req out and decodes the answer into out, which may be nil.
func (c *Client) do(ctx context.Context, req call, out any) error {
	pause := c.cfg.RetryPause
	for attempt := 0; ; attempt++ {
		err := c.once(ctx, req, out)
		if err == nil {
			return nil
		}
		asked, again := repeatable(req, err)
		if !again || attempt >= c.cfg.ReadRetries || asked > maxRetryAfter {
			return err
		}
		timer := time.NewTimer(max(pause, asked))
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		pause *= 2
	}
}

// repeatable says whether a failed call may be sent again at once: a read when
// the server was unavailable, and a write only when it was turned away before
// the server looked at it, which status 429 means.
func repeatable(req call, err error) (asked time.Duration, again bool) {
	var failed *Error
	if !errors.As(err, &failed) || !errors.Is(err, ErrUnavailable) {
		return 0, false
	}
	return failed.RetryAfter, req.read || failed.Status == http.StatusTooManyRequests
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
