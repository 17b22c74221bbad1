package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// passage leads one request through the breakers of the arms that may answer
// it. Its methods are not safe for concurrent use.
type passage struct {
	drawn    *arm
	champion *arm // who stands in; nil: nobody may
	limits   models.TrafficSpec
	timeout  time.Duration
	named    bool // the caller chose the arm
	unbroken bool // the breakers are not asked: no caller waits for the answer
	crashed  bool // the request was the first to notice that a server of drawn was lost
	// admitted says how the breakers received the request: that of drawn, and
	// that of champion.
	admitted [2]admission
	conducts [2]conduct
}

// newPassage leads a request that drew an arm of the route. named says that the
// caller chose the arm: nobody stands in then.
func (g *Gateway) newPassage(r *route, drawn *arm, named bool) passage {
	p := passage{drawn: drawn, champion: r.champion, limits: r.Traffic, timeout: time.Duration(r.Traffic.Timeout), named: named}
	if p.timeout == 0 {
		p.timeout = g.config.Timeout
	}
	if named || p.champion == drawn {
		p.champion = nil
	}
	return p
}

// line is who is tried for the request, in order.
func (p *passage) line(into []candidate, now time.Time) []candidate {
	into = p.drawn.appendInTurn(into, false, now)
	if p.champion != nil {
		into = p.champion.appendInTurn(into, true, now)
	}
	return into
}

func (p *passage) index(a *arm) int {
	if a == p.drawn {
		return 0
	}
	return 1
}

// enter asks an arm's breaker once, and remembers what it said.
func (p *passage) enter(a *arm, now time.Time) bool {
	if p.unbroken {
		return true
	}
	i := p.index(a)
	if p.admitted[i] == unasked {
		p.admitted[i] = a.pool.breaker.enter(now, p.limits.Breaker)
	}
	return p.admitted[i] != refused
}

// observe takes note of what a server's answer says about it and its version.
// Who names a version may send what breaks it: that must not open the breaker,
// which would make errors of requests that chance assigned.
func (p *passage) observe(server candidate, how conduct, now time.Time) {
	server.arm.pool.observe(server.replica, how, now, p.limits.Eject)
	i := p.index(server.arm)
	if p.named && how == faulty && p.admitted[i] != probe {
		how = silent
	}
	p.conducts[i] = how
}

// leave ends the passage; it must be called once.
func (p *passage) leave(now time.Time) {
	for i, a := range [2]*arm{p.drawn, p.champion} {
		if a != nil {
			a.pool.breaker.leave(now, p.limits.Breaker, p.admitted[i], p.conducts[i])
		}
	}
}

// diverted reports whether the breaker of the drawn arm refused the request.
func (p *passage) diverted() bool { return p.admitted[0] == refused }

// refusal is the answer when the breakers let nobody be asked.
func (p *passage) refusal(now time.Time) (http.Header, string) {
	breaker := &p.drawn.pool.breaker
	header := jsonHeader()
	header.Set("Retry-After", strconv.FormatInt(breaker.retryAfter(now), 10))
	return header, fmt.Sprintf("version %s is not asked for the moment: too many requests failed or wait for it; try again later", p.drawn.Version)
}

// count counts an answer: for the version that gave it, or as an error of the
// drawn one when its breaker kept the request from it.
func (p *passage) count(result answer, latency time.Duration, now time.Time) {
	if p.diverted() && result.arm != p.drawn {
		p.drawn.counters.diverted.Add(1)
		p.drawn.counters.failedUnasked(now)
		return
	}
	result.arm.counters.answered(result.status, latency, now)
}

func conductOf(status int) conduct {
	if status >= 500 {
		return faulty
	}
	return proper
}
