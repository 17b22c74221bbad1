package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/models"
)

// Config is what a demo runs on: a stack that is up, and a lifecycle that has
// been started on it.
type Config struct {
	Temporal    client.Client
	Gateway     string            // base URL of the data plane
	UI          map[string]string // pages to show, by name
	Spec        models.LifecycleSpec
	LifecycleID string // the lifecycle that was started from Spec
	DataDir     string // partitions to replay, from Spec.Data.AsOf on
	Requests    int    // about how many to send
	Setup       time.Duration
	View        View
}

const (
	// glance is how often the workflows are asked how they are.
	glance = 250 * time.Millisecond
	// lead is how far the traffic may run ahead of the monitor, in event time:
	// two days for labels to mature, and some slack so that neither waits long.
	lead = 8 * 24 * time.Hour
)

// Run replays the traffic behind the lifecycle and returns the story. When the
// context ends early the story so far comes with the context's error.
func Run(ctx context.Context, config Config) (*Story, error) {
	d := newDirector(config)
	story := &Story{StartedAt: time.Now(), SetupSeconds: config.Setup.Seconds(), UI: config.UI, Spec: config.Spec}
	err := d.run(ctx)
	d.teller.tell(story)
	story.WallSeconds = time.Since(d.began).Seconds()
	story.Requests, story.RequestErrors = d.replayer.requests.Load(), d.replayer.errors.Load()
	story.RequestsRetried, story.Latency = d.replayer.retried.Load(), d.replayer.latency()
	return story, err
}

type director struct {
	config   Config
	teller   *teller
	replayer *replayer
	began    time.Time
	rate     rate

	mu    sync.Mutex // play writes what watch shows
	span  [2]time.Time
	holds string
}

func newDirector(config Config) *director {
	d := &director{config: config, began: time.Now()}
	d.replayer = newReplayer(config.Gateway, config.Spec.Deploy.Endpoint, nil)
	d.teller = newTeller(config.Temporal, config.Spec, config.LifecycleID, d.eventTime)
	d.replayer.pace = d.pace
	return d
}

// run lets three things happen side by side: the glances, the view, and the
// plot itself, which ends the other two.
func (d *director) run(ctx context.Context) error {
	watching, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.watch(watching) })
	group.Go(func() error {
		defer stop()
		return d.play(ctx)
	})
	err := group.Wait()
	stop()
	d.teller.gather(context.WithoutCancel(ctx))
	d.config.View.Show(d.scene())
	return err
}

func (d *director) watch(ctx context.Context) error {
	for ctx.Err() == nil {
		d.teller.gather(ctx)
		d.config.View.Show(d.scene())
		_ = sleep(ctx, glance) // ends early when ctx does
	}
	return nil
}

// play is the plot: the first champion, then a year of traffic, then the last
// labels.
func (d *director) play(ctx context.Context) error {
	traffic, err := loadTraffic(ctx, d.config.DataDir, d.config.Spec.Data, d.config.Spec.Data.AsOf, d.config.Requests)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.span = [2]time.Time{traffic.days[0].start, traffic.days[len(traffic.days)-1].start}
	d.mu.Unlock()
	if err := d.awaitChampion(ctx); err != nil {
		return err
	}
	if err := d.replayer.run(ctx, traffic); err != nil {
		return err
	}
	return d.awaitLastWord(ctx)
}

// awaitChampion waits for the first lifecycle. One that promotes nothing ends
// the demo: there is nothing to send traffic to.
func (d *director) awaitChampion(ctx context.Context) error {
	var result models.LifecycleResult
	if err := d.config.Temporal.GetWorkflow(ctx, d.config.LifecycleID, "").Get(ctx, &result); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.New(rootMessage(err))
	}
	if !result.Promoted {
		return fmt.Errorf("the first lifecycle promoted nothing: %s", result.Reason)
	}
	d.teller.gather(ctx)
	artifact := d.teller.artifact()
	if artifact == nil {
		return errors.New("the steward knows no champion, though the lifecycle says one was promoted")
	}
	d.replayer.inputs = artifact.Inputs
	return d.awaitRoute(ctx)
}

// awaitRoute waits until the gateway follows the champion's route.
func (d *director) awaitRoute(ctx context.Context) error {
	url := fmt.Sprintf("%s/v2/models/%s/ready", d.config.Gateway, d.config.Spec.Deploy.Endpoint)
	deadline := time.Now().Add(time.Minute)
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := d.replayer.http.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the gateway does not answer for endpoint %s at %s", d.config.Spec.Deploy.Endpoint, url)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// pace keeps the traffic from running away from the monitor, and the clock
// held while a retraining is prepared.
func (d *director) pace(ctx context.Context, done time.Time) error {
	for {
		holds := d.hold()
		unjudged := done.Sub(later(d.teller.nextBlock(), d.span[0]))
		if holds == "" && unjudged > lead/2 {
			d.nudge(ctx)
		}
		if holds == "" && unjudged <= lead {
			return nil
		}
		if err := sleep(ctx, glance); err != nil {
			return err
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hold says, and shows, why the clock stands still.
func (d *director) hold() string {
	reason := d.teller.holdReason()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holds = reason
	return reason
}

// awaitLastWord lets the monitor judge what has matured and a pending
// retraining be settled. A canary that the traffic's end left undecided stays so.
func (d *director) awaitLastWord(ctx context.Context) error {
	last := d.span[1].AddDate(0, 0, -2)
	for quiet := time.Now(); time.Since(quiet) < 10*time.Second; {
		d.nudge(ctx)
		if d.hold() != "" {
			quiet = time.Now()
		} else if !d.teller.nextBlock().Before(last) {
			return nil
		}
		if err := sleep(ctx, glance); err != nil {
			return err
		}
	}
	return nil
}

// nudge asks the monitor to look now rather than at its next poll. It only
// saves waiting, so a failure does not matter.
func (d *director) nudge(ctx context.Context) {
	_ = d.config.Temporal.SignalWorkflow(ctx, models.MonitorID(d.config.Spec.Deploy.Endpoint), "", models.SignalCheck, struct{}{})
}

func (d *director) eventTime() time.Time {
	if reached := d.replayer.clock.Load(); reached > 0 {
		return time.Unix(reached, 0).UTC()
	}
	return time.Time{}
}

func (d *director) scene() Scene {
	d.mu.Lock()
	holds, span := d.holds, d.span
	d.mu.Unlock()
	s := Scene{
		Elapsed: time.Since(d.began), EventTime: d.eventTime(), HoldsFor: holds, From: span[0], To: span[1],
		Requests: d.replayer.requests.Load(), Errors: d.replayer.errors.Load(), UI: d.config.UI,
	}
	s.PerSecond = d.rate.update(time.Now(), s.Requests)
	d.teller.scene(&s)
	return s
}

// rate is requests per second over the last few glances.
type rate struct {
	at    time.Time
	count int64
	value float64
}

func (r *rate) update(now time.Time, count int64) float64 {
	if elapsed := now.Sub(r.at).Seconds(); elapsed >= 1 {
		if !r.at.IsZero() {
			r.value = float64(count-r.count) / elapsed
		}
		r.at, r.count = now, count
	}
	return r.value
}
