package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// goalAddedP50 is what the gateway may add to the median of a request at one
// connection.
const goalAddedP50 = 50 * time.Microsecond

// The routes.
const (
	direct     = "direct"
	mainspring = "mainspring"
	caddy      = "caddy"
	traefik    = "traefik"
	plain      = "reverseproxy"
	relayed    = "relay"
	beside     = "beside" // another build of mainspring
)

// report is what the command prints.
type report struct {
	CPUs           int       `json:"cpus"`
	Rounds         int       `json:"rounds"`
	SecondsEach    float64   `json:"seconds_each"`
	GoalAddedP50US int64     `json:"goal_added_p50_us"`
	Skipped        []string  `json:"skipped,omitempty"` // what could not be measured, and why
	Scenes         []figures `json:"scenes"`
}

// figures are one pair of servers' at all levels of load.
type figures struct {
	Servers string  `json:"servers"`
	Levels  []level `json:"levels"`
}

type level struct {
	Connections int      `json:"connections"`
	Routes      []figure `json:"routes"`
}

// figure is one route's. Added is the median over rounds of this route's p50
// less the direct route's; Throughput is the median of the gateway's requests per
// second over this route's, so that above 1 the gateway is faster. CPU is the
// proxy's alone, background work such as the log's included.
type figure struct {
	Route      string  `json:"route"`
	P50US      float64 `json:"p50_us"`
	P99US      float64 `json:"p99_us"`
	PerSecond  float64 `json:"requests_per_s"`
	AddedP50US float64 `json:"added_p50_us"`
	AddedP99US float64 `json:"added_p99_us"`
	Throughput float64 `json:"gateway_throughput_ratio"`
	CPUUS      float64 `json:"cpu_us_per_request,omitempty"` // absent: not known, or there is no proxy
}

// scene is a pair of servers and the routes to them.
type scene struct {
	name   string
	routes []route // direct first
}

type route struct {
	name string
	to   target
	pid  int // of the proxy; 0: there is none
}

// load is one turn.
func (r route) load(ctx context.Context, connections int, long time.Duration) (sample, error) {
	if r.pid == 0 {
		return load(ctx, r.to, connections, long)
	}
	before, err := cpuTime(r.pid)
	if err != nil {
		return sample{}, err
	}
	took, err := load(ctx, r.to, connections, long)
	if err != nil {
		return sample{}, err
	}
	after, err := cpuTime(r.pid)
	took.cpu = (after - before) / time.Duration(took.requests)
	return took, err
}

// measure loads the routes in turn, round after round. Each round begins with
// another route, so that none always follows the same one.
func (s scene) measure(ctx context.Context, o options) (figures, error) {
	f := figures{Servers: s.name}
	for _, connections := range o.levels {
		rounds := make(map[string][]sample, len(s.routes))
		for round := range o.rounds + 1 { // the first warms up
			for i := range s.routes {
				r := s.routes[(i+round)%len(s.routes)]
				took, err := r.load(ctx, connections, o.each)
				if err != nil {
					return f, fmt.Errorf("%s: %w", r.name, err)
				}
				if round > 0 {
					rounds[r.name] = append(rounds[r.name], took)
				}
			}
			fmt.Fprintf(os.Stderr, "%s, %d connections: round %d of %d\n", s.name, connections, round, o.rounds)
		}
		l := level{Connections: connections}
		for _, r := range s.routes {
			l.Routes = append(l.Routes, compare(r.name, rounds[r.name], rounds[direct], rounds[mainspring]))
		}
		f.Levels = append(f.Levels, l)
	}
	return f, nil
}

func compare(name string, own, direct, gateway []sample) figure {
	over := func(value func(round int) float64) float64 {
		values := make([]float64, len(own))
		for round := range own {
			values[round] = value(round)
		}
		return median(values)
	}
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	return figure{
		Route:      name,
		P50US:      over(func(i int) float64 { return us(own[i].p50) }),
		P99US:      over(func(i int) float64 { return us(own[i].p99) }),
		PerSecond:  over(func(i int) float64 { return own[i].perSecond }),
		AddedP50US: over(func(i int) float64 { return us(own[i].p50 - direct[i].p50) }),
		AddedP99US: over(func(i int) float64 { return us(own[i].p99 - direct[i].p99) }),
		CPUUS:      over(func(i int) float64 { return us(own[i].cpu) }),
		Throughput: over(func(i int) float64 { return gateway[i].perSecond / own[i].perSecond }),
	}
}

// median of the values, which it sorts; the mean of the middle two when they
// are even in number.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}
