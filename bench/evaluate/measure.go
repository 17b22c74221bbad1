package main

import (
	"fmt"
	"math"
	"runtime"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
	document "github.com/mainspring-ml/mainspring/testenv/figures"
)

// goal is for the default flags on two cores.
const goal = 2.0

func measure(o options) (report, error) {
	sample, set := simulate(o, o.rows), o.settings()
	took := best(o.repeat, func() { metric.Measure(sample, set) })
	r := report{
		Rows: o.rows, Blocks: o.blocks, Slices: o.slices, Resamples: o.resamples, Models: 2, Cores: runtime.GOMAXPROCS(0),
		Seconds: took.wall, CPUSeconds: took.cpu, RowsPerSecond: float64(o.rows) / took.wall, GoalSeconds: goal,
	}
	for _, m := range sample.Task.Metrics() {
		set.Only = []models.Metric{m}
		alone := best(o.repeat, func() { metric.Measure(sample, set) })
		r.Metrics = append(r.Metrics, share{Metric: m, Seconds: alone.wall, CPUSeconds: alone.cpu, Share: alone.cpu / took.cpu})
	}
	if o.plainRows > 0 {
		compared, err := compare(o)
		if err != nil {
			return r, err
		}
		r.Plain = &compared
	}
	return r, nil
}

func (o options) settings() metric.Settings {
	return metric.Settings{Level: 0.1, Resamples: o.resamples, Seed: o.seed, Threshold: 0.5}
}

// compare runs both implementations on the same rows.
func compare(o options) (plain, error) {
	sample, set := simulate(o, o.plainRows), o.settings()
	var ours metric.Measurement
	took := best(o.repeat, func() { ours = metric.Measure(sample, set) })
	var theirs [][]figures
	made := best(1, func() { theirs = plainly(sample, o.plainResamples, o.seed) })
	scale := float64(o.resamples+1) / float64(o.plainResamples+1) // the sample itself is one more
	p := plain{
		Rows: o.plainRows, Resamples: o.plainResamples, SecondsMade: made.wall, SecondsScaled: scale * made.wall,
		OurSeconds: took.wall, Ratio: scale * made.wall / took.wall, CPURatio: scale * made.cpu / took.cpu,
	}
	for i, m := range sample.Task.Metrics() {
		p.deviate(ours.Candidate[m].Value - theirs[0][0].candidate[i])
		p.deviate(ours.Champion[m].Value - theirs[0][0].champion[i])
		for s, slice := range ours.Slices {
			if slice.Judged {
				p.deviate(slice.Candidate[m].Value - theirs[0][s+1].candidate[i])
				p.deviate(slice.Champion[m].Value - theirs[0][s+1].champion[i])
			}
		}
	}
	if !(p.LargestDeviation <= 1e-9) {
		return p, fmt.Errorf("a figure deviates by %g from the plain implementation", p.LargestDeviation)
	}
	return p, nil
}

func (p *plain) deviate(by float64) { p.LargestDeviation = math.Max(p.LargestDeviation, math.Abs(by)) }

// duration is in seconds; cpu is the processor time of all cores.
type duration struct{ wall, cpu float64 }

// best is the least of so many calls.
func best(calls int, call func()) duration {
	found := duration{wall: math.Inf(1), cpu: math.Inf(1)}
	for range calls {
		runtime.GC()
		cpu, started := document.ProcessorSeconds(syscall.RUSAGE_SELF), time.Now()
		call()
		found.wall = min(found.wall, time.Since(started).Seconds())
		found.cpu = min(found.cpu, document.ProcessorSeconds(syscall.RUSAGE_SELF)-cpu)
	}
	return found
}
