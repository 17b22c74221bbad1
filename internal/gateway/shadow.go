package gateway

import (
	"context"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Copies for shadows are bounded; what would be more is skipped and counted.
// Neither a slow shadow nor a hanging one can hold more of the gateway.
const (
	maxCopies    = 128      // on their way to one version
	maxCopyBytes = 64 << 20 // of bodies, over all versions
)

// shadowCopy is one request on its way to a shadow, after the champion's part
// is done. Its answer goes to nobody; it is counted and logged.
type shadowCopy struct {
	in      *inference
	request call
	// theirs is what the champion's answer counts as. It comes into a block
	// together with the shadow's only, so that the blocks of both are about the
	// same requests.
	theirs fault
	ticket int // of the inference log
}

// copyToShadow sends a copy of a request that drew the champion to the route's
// shadow, if it has one. It never waits. in must not change any more. The
// body is not used again for as long as the copy may read it.
func (g *Gateway) copyToShadow(ctx context.Context, in *inference, request call, theirs fault) {
	shadow := in.route.shadow
	if shadow == nil || in.drawn != in.route.champion || in.version != "" ||
		!copied(in.id, in.route.Generation, shadow.Shadow) {
		return
	}
	size := int64(len(request.body))
	onTheirWay, bytes := shadow.pool.copies.Add(1), g.copyBytes.Add(size)
	if onTheirWay > maxCopies || bytes > maxCopyBytes || g.stopping.Load() {
		g.endCopy(shadow, size)
		shadow.counters.skipped.Add(1)
		return
	}
	request.sending.Add(1)
	c := shadowCopy{in: in, request: request, theirs: theirs, ticket: in.endpoint.log.admit(in.eventTime.UnixMicro())}
	ctx = context.WithoutCancel(ctx)
	g.copying.Go(func() {
		defer g.endCopy(shadow, size)
		g.send(ctx, c)
	})
}

func (g *Gateway) endCopy(shadow *arm, size int64) {
	shadow.pool.copies.Add(-1)
	g.copyBytes.Add(-size)
}

// send asks the shadow. A copy that reaches no server says nothing about the
// version, as with a canary, and counts as skipped.
func (g *Gateway) send(ctx context.Context, c shadowCopy) {
	defer c.request.sending.Add(-1)
	route := c.in.route
	through := g.newPassage(route, route.shadow, true)
	through.unbroken = true
	started := time.Now()
	result, ok := g.forward(ctx, &through, c.request)
	now := time.Now()
	latency := now.Sub(started)
	if !ok || result.unreached {
		route.shadow.counters.skipped.Add(1)
		c.in.endpoint.log.finish(c.ticket, nil)
		if through.crashed {
			c.pair(fault{failed: true}, now)
		}
	} else {
		route.shadow.counters.answered(result.status, latency, now)
		ours := route.shadow.counters.judge(result.status, latency)
		ours.failed = ours.failed || through.crashed
		c.pair(ours, now)
		g.finish(c.in, c.ticket, func() models.InferenceRow {
			row := c.in.row(result, now, latency)
			row.Drawn, row.ArmShare = route.shadow.Version, route.shadow.Shadow
			return row
		})
	}
	if ok {
		g.buffers.put(result.body)
	}
}

// pair brings the copy into the blocks of both versions: a lost server counts
// for the request that noticed it, whichever version's it was.
func (c *shadowCopy) pair(ours fault, now time.Time) {
	c.in.route.shadow.counters.blocks.add(now, ours)
	c.in.route.champion.counters.blocks.add(now, c.theirs)
}

// awaitCopies waits for the copies on their way, or until ctx ends.
func (g *Gateway) awaitCopies(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		g.copying.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
