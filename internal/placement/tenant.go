package placement

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// tenant is who pays, and what it holds.
type tenant struct {
	models.Tenant
	held int64 // thousandths of a device, in leases
	// standing is the share as of at, so that a pass works it out once.
	standing float64
	at       time.Time
}

// tenant finds a tenant. One that is unknown has nothing and no limit.
func (p *Pool) tenant(name string) *tenant {
	if at, known := p.findTenant(name); known {
		return p.tenants[at]
	}
	return &tenant{Tenant: models.Tenant{Name: name}}
}

// enter finds a tenant, and adds one that is unknown.
func (p *Pool) enter(name string) *tenant {
	at, known := p.findTenant(name)
	if !known {
		p.tenants = slices.Insert(p.tenants, at, &tenant{Tenant: models.Tenant{Name: name}})
	}
	return p.tenants[at]
}

func (p *Pool) findTenant(name string) (int, bool) {
	return slices.BinarySearchFunc(p.tenants, name, func(t *tenant, name string) int { return cmp.Compare(t.Name, name) })
}

// settle brings what the tenant has used up to date. It is due before what it
// holds changes.
func (t *tenant) settle(now time.Time) {
	t.UsedGPUSeconds = t.used(now)
	t.UsedAt, t.at = now, time.Time{}
}

// used is what the tenant has used as of now, in GPU-seconds. What it holds has
// added up, and decayed, all the while.
func (t *tenant) used(now time.Time) float64 {
	if t.UsedAt.IsZero() || !now.After(t.UsedAt) {
		return t.UsedGPUSeconds
	}
	left := decay(now.Sub(t.UsedAt))
	rate := float64(t.held) / models.WholeGPU
	perSecond := float64(halfLife.Seconds() / math.Ln2)
	return float64(t.UsedGPUSeconds*left) + float64(float64(rate*perSecond)*float64(1-left))
}

// share is what fair share compares.
func (t *tenant) share(now time.Time) float64 {
	if t.at.IsZero() || !t.at.Equal(now) {
		t.standing, t.at = t.used(now)/cmp.Or(t.Weight, 1), now
	}
	return t.standing
}

// decay is 2^(-d/halfLife). It is written out so that every processor replays
// the same digits: the conversions forbid it to fuse operations.
func decay(d time.Duration) float64 {
	y := float64(d%halfLife) / float64(halfLife) * math.Ln2
	sum, term := 1.0, 1.0
	for i := 1; i < 18; i++ {
		term = float64(term * float64(-y/float64(i)))
		sum = float64(sum + term)
	}
	return math.Ldexp(sum, -int(d/halfLife))
}

// forgetTenants drops those that say nothing: no limit, no weight, nothing held
// and next to nothing used.
func (p *Pool) forgetTenants(now time.Time) {
	p.tenants = slices.DeleteFunc(p.tenants, func(t *tenant) bool {
		return t.held == 0 && t.Weight == 0 && t.QuotaMilli == 0 && t.used(now) < 1
	})
}

// room is how much more a tenant may hold, in thousandths of a device.
func (t *tenant) room() int64 {
	if t.QuotaMilli == 0 {
		return math.MaxInt64
	}
	return t.QuotaMilli - t.held
}
