package main

import (
	"container/heap"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

// report is what is printed.
type report struct {
	Policy            string  `json:"policy"`
	Jobs              int     `json:"jobs"`
	MeanWait          float64 `json:"mean_wait_s"`
	MedianWait        float64 `json:"median_wait_s"`
	P99Wait           float64 `json:"p99_wait_s"`
	MaxWait           float64 `json:"max_wait_s"`
	PreemptionsPerJob float64 `json:"preemptions_per_job"`
	MostPreemptions   int     `json:"most_preemptions_of_one_job"`
	Busy              float64 `json:"busy"` // share of device time used for work, until the last end
	SlowestMillis     float64 `json:"slowest_decision_ms"`
	Seconds           float64 `json:"seconds"`
}

// occasion is something that happens at a moment.
type occasion struct {
	at   time.Time
	kind kind
	job  int
	// attempt is the lease that it is about: an end is void when the job has
	// been preempted meanwhile.
	attempt int
}

type kind int

const (
	ends kind = iota // first: what is free counts at once
	givesWay
	arrives
	wakes
)

// agenda is what is to come, the next first.
type agenda []occasion

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	if !a[i].at.Equal(a[j].at) {
		return a[i].at.Before(a[j].at)
	}
	if a[i].kind != a[j].kind {
		return a[i].kind < a[j].kind
	}
	return a[i].job < a[j].job
}
func (a agenda) Swap(i, j int)       { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)         { *a = append(*a, x.(occasion)) }
func (a *agenda) Pop() (x any)       { x, *a = (*a)[len(*a)-1], (*a)[:len(*a)-1]; return x }
func (a *agenda) add(o occasion)     { heap.Push(a, o) }
func (a *agenda) next() (o occasion) { return heap.Pop(a).(occasion) }

// world is a cluster and its users.
type world struct {
	options
	jobs    []*job
	pool    *placement.Pool
	agenda  agenda
	wake    time.Time // of the one wakes in the agenda that counts
	slowest time.Duration
	left    int
}

func replay(jobs []*job, o options) (report, error) {
	w := &world{options: o, jobs: jobs, pool: placement.New(models.PoolState{Pool: "bench"}), left: len(jobs)}
	before := jobs[0].arrival.Add(-time.Hour)
	for n := range o.nodes {
		w.pool.NodeUp(node(n, o.gpus), before)
	}
	for i, j := range jobs {
		w.agenda.add(occasion{at: j.arrival, kind: arrives, job: i})
	}
	for w.left > 0 {
		if len(w.agenda) == 0 {
			return report{}, fmt.Errorf("%d jobs wait for ever: %s", w.left, w.pool.Status(time.Time{}, 1).Reasons)
		}
		if err := w.happen(w.agenda.next()); err != nil {
			return report{}, err
		}
	}
	return w.report(), nil
}

func node(n, gpus int) models.NodeInfo {
	info := models.NodeInfo{Node: fmt.Sprintf("n%04d", n), Address: "n", Boot: "1"}
	for i := range gpus {
		info.Devices = append(info.Devices, models.Device{UUID: fmt.Sprintf("%s-%d", info.Node, i), Model: "GPU", MemoryMiB: 1 << 15})
	}
	return info
}

func (w *world) happen(o occasion) error {
	began := time.Now()
	var e placement.Effects
	switch j := w.job(o); o.kind {
	case arrives:
		e = w.pool.Request(w.request(o.job), o.at)
	case ends:
		if o.attempt != j.attempts || j.granted.IsZero() {
			return nil
		}
		j.end, j.granted, j.left = o.at, time.Time{}, 0
		w.left--
		e = w.pool.Release(models.LeaseRelease{RequestID: w.request(o.job).RequestID}, o.at)
	case givesWay:
		if o.attempt != j.attempts || j.granted.IsZero() {
			return nil
		}
		id := w.request(o.job).RequestID
		j.stop(o.at)
		e = w.pool.Release(models.LeaseRelease{RequestID: id}, o.at)
		w.agenda.add(occasion{at: o.at, kind: arrives, job: o.job})
	case wakes:
		if !o.at.Equal(w.wake) {
			return nil
		}
		e = w.pool.Tick(o.at)
	}
	w.slowest = max(w.slowest, time.Since(began))
	if err := w.heed(e, o.at); err != nil {
		return err
	}
	if at, needed := w.pool.Wake(o.at); needed && !at.Equal(w.wake) {
		w.wake = at
		w.agenda.add(occasion{at: at, kind: wakes})
	}
	return nil
}

func (w *world) job(o occasion) *job { return w.jobs[o.job] }

// request is what a job asks for. Its length is not part of it.
func (w *world) request(i int) models.LeaseRequest {
	j := w.jobs[i]
	shape := models.Resources{Nodes: 1, GPUsPerNode: j.gpus, Preemptible: w.policy == "default"}
	if j.gpus > w.gpus {
		shape.Nodes, shape.GPUsPerNode = j.gpus/w.gpus, w.gpus
	}
	return models.LeaseRequest{
		RequestID: fmt.Sprintf("%d/%d", i, j.attempts), Holder: strconv.Itoa(i), Resources: shape,
		Grace: models.Duration(2 * time.Minute), UsedGPUSeconds: j.used,
	}
}

// heed does what the pool told the holders.
func (w *world) heed(e placement.Effects, now time.Time) error {
	if len(e.Refusals)+len(e.Losses) > 0 {
		return fmt.Errorf("at %s: refused %v, lost %v", now, e.Refusals, e.Losses)
	}
	for _, lease := range e.Grants {
		i, _ := strconv.Atoi(strings.Split(lease.RequestID, "/")[0])
		j := w.jobs[i]
		j.granted, j.cost = now, 0
		if j.preempts > 0 {
			j.cost = w.restart
		}
		w.agenda.add(occasion{at: now.Add(j.cost + j.left), kind: ends, job: i, attempt: j.attempts})
	}
	for _, m := range e.Preemptions {
		i, _ := strconv.Atoi(strings.Split(m.Body.RequestID, "/")[0])
		at := now.Truncate(time.Minute)
		if at.Before(now) {
			at = at.Add(time.Minute)
		}
		w.agenda.add(occasion{at: at, kind: givesWay, job: i, attempt: w.jobs[i].attempts})
	}
	return nil
}

// stop ends a lease before the job is done.
func (j *job) stop(now time.Time) {
	ran := now.Sub(j.granted)
	j.left -= max(ran-j.cost, 0)
	j.used += int64(ran/time.Second) * int64(j.gpus)
	j.attempts++
	j.preempts++
	j.granted = time.Time{}
}

func (w *world) report() report {
	r := report{Policy: w.policy, Jobs: len(w.jobs), SlowestMillis: float64(w.slowest.Microseconds()) / 1000}
	waits := make([]float64, len(w.jobs))
	work, preempts, last := 0.0, 0, w.jobs[0].arrival
	for i, j := range w.jobs {
		waits[i] = (j.end.Sub(j.arrival) - j.duration).Seconds()
		r.MeanWait += waits[i] / float64(len(w.jobs))
		work += j.duration.Seconds() * float64(j.gpus)
		preempts += j.preempts
		r.MostPreemptions = max(r.MostPreemptions, j.preempts)
		if j.end.After(last) {
			last = j.end
		}
	}
	slices.Sort(waits)
	r.MedianWait, r.P99Wait, r.MaxWait = waits[len(waits)/2], waits[len(waits)*99/100], waits[len(waits)-1]
	r.PreemptionsPerJob = float64(preempts) / float64(len(w.jobs))
	r.Busy = work / (last.Sub(w.jobs[0].arrival).Seconds() * float64(w.nodes*w.gpus))
	return r
}
