package fit

// Close closes a host to new leases, or opens it again. It is Upsert for the
// price of one host: all scores of others stay true.
func (c *Cluster) Close(name string, closed bool) {
	if n := c.byName[name]; n != nil && n.Closed != closed {
		n.Closed = closed
		c.refreshWith(n)
	}
}
