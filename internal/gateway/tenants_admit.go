package gateway

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
)

// HeaderKey carries a tenant's key where Authorization is not to be had.
const HeaderKey = "X-Api-Key"

// tenant is a caller's account. It outlives the reading of a new file: who has
// spent a rate does not get it anew.
type tenant struct {
	spec    atomic.Pointer[TenantSpec]
	limiter *rate.Limiter

	inFlight  atomic.Int64
	admitted  atomic.Int64
	tooFast   atomic.Int64 // refused for the rate
	tooMany   atomic.Int64 // refused for the concurrency
	forbidden atomic.Int64 // asked for an endpoint that is not theirs
}

func newTenant() *tenant { return &tenant{limiter: rate.NewLimiter(rate.Inf, 0)} }

// follow takes over new limits.
func (t *tenant) follow(spec TenantSpec) {
	limit, burst := rate.Inf, 0
	if spec.Rate > 0 {
		limit, burst = rate.Limit(spec.Rate), spec.Burst
		if burst == 0 {
			burst = max(1, int(min(math.Ceil(spec.Rate), math.MaxInt32)))
		}
	}
	// A limit without a burst, for a moment between the two, would let nobody in.
	if limit == rate.Inf {
		t.limiter.SetLimit(limit)
		t.limiter.SetBurst(burst)
	} else {
		t.limiter.SetBurst(burst)
		t.limiter.SetLimit(limit)
	}
	t.spec.Store(&spec)
}

// refusal is why a request is not let in. It counts for no arm.
type refusal struct {
	status  int
	message string
	after   time.Duration // when to try again; 0: never
}

// tenants are those of one reading of the file; it never changes.
type tenants struct {
	owners map[digest]*tenant
	names  []string // sorted
	byName map[string]*tenant
	read   time.Time
}

// find returns the tenant whose key the header has. Looking for the digest
// tells nothing about keys by the time it takes: a caller can't choose digests.
func (t *tenants) find(header http.Header) (found *tenant, given bool) {
	key := header.Get(HeaderKey)
	if key == "" {
		scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return nil, false
		}
		key = strings.TrimSpace(token)
	}
	if key == "" {
		return nil, false
	}
	return t.owners[sha256.Sum256([]byte(key))], true
}

// admit lets a request in, or says why not; leave must follow for whom it lets
// in. endpoint "" is a request that concerns none. It takes the key out of the
// header.
func (d *door) admit(header http.Header, endpoint string) (who *tenant, no *refusal) {
	all := d.current.Load()
	if all == nil {
		return nil, nil
	}
	who, given := all.find(header)
	d.withoutKey(header)
	if who == nil {
		d.unknown.Add(1)
		message := "the key is not known; ask the operator of the gateway for one"
		if !given {
			message = "a key is needed; send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
		}
		return nil, &refusal{status: http.StatusUnauthorized, message: message}
	}
	return who, who.admit(endpoint, time.Now())
}

// withoutKey takes the key out of a header: it must not travel on to servers.
// With an open door what looks like one is a matter between caller and server.
func (d *door) withoutKey(header http.Header) http.Header {
	if d.current.Load() != nil {
		header.Del("Authorization")
		header.Del(HeaderKey)
	}
	return header
}

func (t *tenant) admit(endpoint string, now time.Time) *refusal {
	spec := t.spec.Load()
	if endpoint != "" && !spec.mayCall(endpoint) {
		t.forbidden.Add(1)
		return &refusal{status: http.StatusForbidden, message: fmt.Sprintf("tenant %s may not call endpoint %q", spec.Tenant, endpoint)}
	}
	// The place comes first: a request that finds none must not spend the rate.
	if n := t.inFlight.Add(1); spec.Concurrency > 0 && n > int64(spec.Concurrency) {
		t.inFlight.Add(-1)
		t.tooMany.Add(1)
		return &refusal{http.StatusTooManyRequests, fmt.Sprintf("tenant %s has %d requests in flight, as many as it may; wait for answers", spec.Tenant, spec.Concurrency), time.Second}
	}
	if turn := t.limiter.ReserveN(now, 1); !turn.OK() || turn.DelayFrom(now) > 0 {
		wait := max(turn.DelayFrom(now), time.Millisecond)
		turn.CancelAt(now)
		t.inFlight.Add(-1)
		t.tooFast.Add(1)
		return &refusal{http.StatusTooManyRequests, fmt.Sprintf("tenant %s may send %g requests per second; slow down", spec.Tenant, spec.Rate), wait}
	}
	t.admitted.Add(1)
	return nil
}

// leave ends a request that was let in. A nil tenant is that of an open door.
func (t *tenant) leave() {
	if t != nil {
		t.inFlight.Add(-1)
	}
}

// sees reports whether the caller may know of an endpoint.
func (t *tenant) sees(endpoint string) bool { return t == nil || t.spec.Load().mayCall(endpoint) }

// guard lets tenants through to a handler of the data plane.
func (g *Gateway) guard(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if g.door.current.Load() == nil {
			next(w, r)
			return
		}
		who, no := g.door.admit(r.Header, r.PathValue("endpoint"))
		if no != nil {
			no.write(w)
			return
		}
		defer who.leave()
		next(w, r.WithContext(context.WithValue(r.Context(), tenantKey{}, who)))
	}
}

type tenantKey struct{}

// tenantOf is who sent a guarded request; nil: the door is open.
func tenantOf(ctx context.Context) *tenant {
	who, _ := ctx.Value(tenantKey{}).(*tenant)
	return who
}

func (r *refusal) write(w http.ResponseWriter) {
	if r.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="mainspring"`)
	}
	if r.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(r.after.Seconds()))))
	}
	oip.WriteError(w, r.status, r.message)
}
