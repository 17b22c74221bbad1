package rollouts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/faulty"
	"github.com/mainspring-ml/mainspring/testenv/laptop"
	"github.com/mainspring-ml/mainspring/testenv/traffic"
)

const (
	killsEndpoint = "canary-killed"
	// unflushed is the most that a killed gateway may lose of the log: a second
	// of its answers, and what a busy machine adds to that.
	unflushed = 3 * time.Second
	// calm is how long nothing is killed after a killed process is back.
	calm = 2 * time.Second
)

// Kill is the end of one process while a canary runs.
type Kill struct {
	Process string `json:"process"`
	Gateway int    `json:"-"` // index; -1: it is none
	// Before and After are around the signal.
	Before, After time.Time `json:"-"`
	Back          float64   `json:"back_s"`    // seconds until it was there again
	InFlight      int       `json:"in_flight"` // requests on the killed gateway at that moment
	Lost          int       `json:"lost"`      // of these
	Unlogged      int       `json:"unlogged"`  // answered, and missing in the log
}

// Killed is what became of the rollout whose processes were killed.
type Killed struct {
	Outcome
	Kills    []Kill   `json:"kills"`
	scenario Scenario // what is wanted of the outcome
}

// KillUnderCanary releases a sound version with two servers under load from
// callers who know two gateways, and kills one process after the other.
func (b *Bench) KillUnderCanary(ctx context.Context) (k Killed, err error) {
	sound := faulty.Behaviour{LatencyMS: 10, JitterMS: 10}
	k.scenario = Scenario{Name: "killed", Champion: sound, Candidate: sound, Rate: 100, Want: models.VerdictPass}
	k.Scenario, k.Did = "killed", "is as good as the champion, and everything is killed meanwhile"
	canary := with(func(c *models.CanarySpec) {
		c.MaxErrorRate = 0.01 // so that a step takes longer than the kills
		c.StepDeadline = models.Duration(4 * time.Minute)
	})
	champion := Release{Endpoint: killsEndpoint, Key: "champion", Behaviour: sound, Canary: canary, Replicas: 2}
	candidate := Release{Endpoint: killsEndpoint, Key: "candidate", Behaviour: sound, Canary: canary, Replicas: 2}
	if k.champion, err = b.Promote(ctx, champion); err != nil {
		return k, err
	}
	run := b.Traffic(ctx, killsEndpoint, nil, k.scenario.Rate)
	defer run.Stop()
	if err := b.Submit(ctx, candidate); err != nil {
		return k, err
	}
	if k.candidate, err = b.AwaitStep(ctx, candidate); err != nil {
		return k, err
	}
	for _, strike := range b.strikes(k.candidate) {
		time.Sleep(calm)
		kill, err := strike(ctx)
		if err != nil {
			return k, fmt.Errorf("kill %s: %w", kill.Process, err)
		}
		k.Kills = append(k.Kills, kill)
		b.log("killed %s; it was back after %.1f s", kill.Process, kill.Back)
	}
	if k.lifecycle, err = b.Await(ctx, candidate); err != nil {
		return k, err
	}
	k.Promoted = k.lifecycle.Promoted
	if err := b.look(ctx, killsEndpoint, &k.Outcome); err != nil {
		return k, err
	}
	if err := b.count(ctx, killsEndpoint, run, &k.Outcome); err != nil {
		return k, err
	}
	k.blame()
	return k, nil
}

// strikes are the kills, in order.
func (b *Bench) strikes(version string) []func(context.Context) (Kill, error) {
	return []func(context.Context) (Kill, error){
		func(ctx context.Context) (Kill, error) { return b.killProgram(ctx, "gateway-2", 1) },
		func(ctx context.Context) (Kill, error) { return b.killProgram(ctx, "worker", -1) },
		func(ctx context.Context) (Kill, error) { return b.killServer(ctx, version) },
		func(ctx context.Context) (Kill, error) { return b.killProgram(ctx, devstack.ServerTemporal, -1) },
		func(ctx context.Context) (Kill, error) { return b.killProgram(ctx, "agent-laptop-a", -1) },
		func(ctx context.Context) (Kill, error) { return b.killProgram(ctx, "agent-laptop-b", -1) },
		func(ctx context.Context) (Kill, error) { return b.killProgram(ctx, "gateway", 0) },
	}
}

// killProgram kills one of the stack's own processes, which the stack starts
// again.
func (b *Bench) killProgram(ctx context.Context, name string, gateway int) (Kill, error) {
	if err := b.Laptop.AwaitReady(ctx, name); err != nil {
		return Kill{Process: name}, fmt.Errorf("before: %w", err)
	}
	kill := Kill{Process: name, Gateway: gateway, Before: time.Now()}
	started := b.starts(name)
	if err := b.Laptop.Kill(ctx, name); err != nil {
		return kill, err
	}
	kill.After = time.Now()
	err := laptop.Eventually(laptop.Patience, func() (bool, any) { // the old incarnation may look ready for a moment
		now := b.starts(name)
		return ctx.Err() != nil || now > started, now
	})
	if err == nil {
		err = b.Laptop.AwaitReady(ctx, name)
	}
	kill.Back = time.Since(kill.Before).Seconds()
	return kill, errors.Join(err, ctx.Err())
}

func (b *Bench) starts(name string) int {
	i := slices.IndexFunc(b.Laptop.Status(), func(s supervise.Status) bool { return s.Name == name })
	if i < 0 {
		return 0
	}
	return b.Laptop.Status()[i].Starts
}

// killServer kills one of the version's two servers.
func (b *Bench) killServer(ctx context.Context, version string) (Kill, error) {
	kill := Kill{Process: "a server of the canary", Gateway: -1}
	servers := b.servers(version)
	if len(servers) != 2 {
		return kill, fmt.Errorf("version %s has %d servers, not 2", version, len(servers))
	}
	kill.Before = time.Now()
	if err := syscall.Kill(servers[0], syscall.SIGKILL); err != nil {
		return kill, err
	}
	kill.After = time.Now()
	err := laptop.Eventually(laptop.Patience, func() (bool, any) {
		now := b.servers(version)
		return ctx.Err() != nil || len(now) == 2 && !slices.Contains(now, servers[0]), now
	})
	kill.Back = time.Since(kill.Before).Seconds()
	return kill, errors.Join(err, ctx.Err())
}

// servers are the process IDs of a version's servers.
func (b *Bench) servers(version string) (pids []int) {
	for pid, line := range b.Laptop.Processes() {
		words := strings.Fields(line)
		if n := len(words); n > 3 && strings.HasSuffix(words[0], "/"+programName) && words[n-2] == killsEndpoint && words[n-1] == version {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// blame counts what the death of each gateway explains.
func (k *Killed) blame() {
	missing := k.logged.Missing(k.report)
	for i := range k.Kills {
		kill := &k.Kills[i]
		for _, r := range k.report.Requests {
			if !kill.explains(r) {
				continue
			}
			kill.InFlight++
			if r.Lost() {
				kill.Lost++
			}
		}
		for _, r := range missing[kill.Gateway] {
			if kill.unflushed(r) {
				kill.Unlogged++
			}
		}
	}
}

// explains: it was on its way through the gateway when that was killed.
func (k Kill) explains(r traffic.Request) bool {
	return r.Gateway == k.Gateway && !r.Sent.After(k.After) && !r.Ended.Before(k.Before)
}

// unflushed: the gateway answered just before it was killed.
func (k Kill) unflushed(r traffic.Request) bool {
	return r.Gateway == k.Gateway && !r.Ended.After(k.After) && r.Ended.After(k.Before.Add(-unflushed))
}

// Check returns what was lost that no kill explains, and what else is wrong.
func (k Killed) Check() error {
	broken := []error{k.checkEngine(k.scenario)}
	complain := func(format string, arguments ...any) { broken = append(broken, fmt.Errorf(format, arguments...)) }
	if c := k.Traffic; c.Unsent > 0 || c.Failed > 0 || c.Refused > 0 {
		complain("requests failed although one gateway and one server of each version lived: %s", c)
	}
	for _, r := range k.report.Lost() {
		if !slices.ContainsFunc(k.Kills, func(kill Kill) bool { return kill.explains(r) }) {
			complain("request %s through gateway %d was lost from %s to %s, when that lived: %w",
				r.ID, r.Gateway, r.Sent.Format(clock), r.Ended.Format(clock), r.Err)
		}
	}
	for gateway, requests := range k.logged.Missing(k.report) {
		for _, r := range requests {
			if !slices.ContainsFunc(k.Kills, func(kill Kill) bool { return kill.unflushed(r) }) {
				complain("request %s, answered by gateway %d at %s, is not in the log", r.ID, gateway, r.Ended.Format(clock))
			}
		}
	}
	for id, n := range k.logged.ByID {
		if n > 1 {
			complain("request %s is in the log %d times", id, n)
		}
	}
	if len(k.result.Steps) > 0 {
		last := k.Kills[len(k.Kills)-1]
		if over := k.result.Steps[0].StartedAt.Add(time.Duration(k.Seconds * float64(time.Second))); last.After.After(over) {
			complain("the rollout was over before %s was killed", last.Process)
		}
	}
	const most = 10 // examples are enough
	return errors.Join(broken[:min(len(broken), most)]...)
}

// clock is how moments are written.
const clock = "15:04:05.000"
