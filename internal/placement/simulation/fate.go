package simulation

func (h *holder) close() {
	h.state, h.closedAt = closed, h.w.now
	h.w.note("%s: has closed", h.id)
}

// crash closes the holder where it stands. Its agents learn of it with their
// next heartbeat.
func (h *holder) crash() {
	h.w.oracle.stats.Crashed++
	h.w.note("%s: crashes while %s", h.id, h.state)
	h.close()
	for _, r := range h.ranks {
		r.over = true
		if j := r.host.job(r.key); j != nil {
			r.host.abandon(j)
		}
	}
}

// cancel closes the holder in good order.
func (h *holder) cancel() {
	switch h.state {
	case waiting:
		h.giveBack(h.requestID())
		h.close()
	case holding:
		h.stop("it is cancelled", h.close)
	case idle, ending, closed:
	}
}

// restart starts the workflow again under the same ID; it knows nothing of its
// earlier life but the checkpoints.
func (h *holder) restart() {
	h.run++
	h.attempt = 0
	h.w.note("%s: is started again", h.id)
	h.begin()
}
