package placement

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// fleet is 1,250 hosts with 8 devices, nearly all lent, and 2,000 requests of
// some 30 shapes in the queue.
func fleet(tb testing.TB) (*Pool, time.Time) {
	made.Do(func() { madePool, madeAt = makeFleet(tb) })
	return New(madePool.State()), madeAt
}

var (
	made     sync.Once
	madePool *Pool
	madeAt   time.Time
)

func makeFleet(tb testing.TB) (*Pool, time.Time) {
	p, now := New(models.PoolState{Pool: "default"}), noon
	for i := range 1250 {
		h := host(fmt.Sprintf("n%04d", i), 8)
		for k := range h.Devices {
			h.Devices[k].Model = []string{"H100", "H200"}[i%2]
		}
		p.NodeUp(h, now)
	}
	now = now.Add(time.Minute)
	for i := range 12000 {
		now = now.Add(time.Second)
		r := ask(fmt.Sprint(i), 1+i%17/15*3, []int{1, 1, 1, 2, 4, 8}[i%6], tenantOf(fmt.Sprint("t", i%7)))
		r.Resources.Preemptible, r.Resources.Priority = i%2 == 0, i%5/4
		r.Resources.DeviceModel = []string{"", "h100", "h200"}[i%3]
		r.UsedGPUSeconds = int64(i%4) * 20000
		p.Request(r, now)
		if len(p.waiting) == 2000 {
			break
		}
	}
	tb.Logf("%d leases, %d waiting", len(p.leases), len(p.waiting))
	return p, now
}

func BenchmarkRequest(b *testing.B) {
	p, now := fleet(b)
	for i := 0; b.Loop(); i++ {
		now = now.Add(time.Second)
		id := fmt.Sprint("new", i)
		p.Request(ask(id, 1, 1+i%8), now)
		b.StopTimer()
		p.Release(models.LeaseRelease{RequestID: id}, now)
		b.StartTimer()
	}
}

func BenchmarkRelease(b *testing.B) {
	p, now := fleet(b)
	for b.Loop() {
		now = now.Add(time.Second)
		p.Release(models.LeaseRelease{RequestID: p.leases[0].RequestID}, now)
	}
}

// BenchmarkPlan is the dearest tick: preemption is considered for everybody.
func BenchmarkPlan(b *testing.B) {
	p, now := fleet(b)
	for b.Loop() {
		now = now.Add(time.Minute)
		p.Tick(now)
	}
}

func BenchmarkNodeDown(b *testing.B) {
	p, now := fleet(b)
	for i := 0; b.Loop(); i++ {
		now = now.Add(time.Second)
		n := p.rest.Nodes[i%1250].NodeInfo
		p.NodeDown(models.NodeDown{Node: n.Node}, now)
		p.NodeUp(n, now)
	}
}

func BenchmarkStatus(b *testing.B) {
	p, now := fleet(b)
	for b.Loop() {
		now = now.Add(time.Second)
		p.Status(now, 100)
	}
}

func BenchmarkExplain(b *testing.B) {
	p, now := fleet(b)
	for i := 0; b.Loop(); i++ {
		p.Explain(p.waiting[i%2000].RequestID, now)
	}
}

func BenchmarkWake(b *testing.B) {
	p, now := fleet(b)
	for b.Loop() {
		p.Wake(now)
	}
}

func BenchmarkNew(b *testing.B) {
	p, _ := fleet(b)
	state := p.State()
	for b.Loop() {
		New(state)
	}
}
