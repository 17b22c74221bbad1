package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// door decides who may call. Without a tenants file it is open.
type door struct {
	path    string                  // empty: open
	current atomic.Pointer[tenants] // nil: open
	unknown atomic.Int64            // requests without a known key
	// failed is why the file, as it is now, can't be used; nil: it is in use. The
	// tenants of the last good one stay.
	failed atomic.Pointer[string]

	seen []byte // the file's content at the last look; only look uses it
}

// openDoor reads the tenants file. A gateway does not start with a file that it
// can't use: it would let everybody in, or nobody.
func openDoor(path string) (*door, error) {
	d := &door{path: path}
	if path == "" {
		return d, nil
	}
	text, err := readTenantsFile(path)
	if err != nil {
		return nil, err
	}
	return d, d.take(text)
}

// take makes the file's tenants those that may call.
func (d *door) take(text []byte) error {
	owners, specs, err := parseTenants(text)
	if err != nil {
		return err
	}
	before := d.current.Load()
	next := &tenants{owners: make(map[digest]*tenant, len(owners)), byName: make(map[string]*tenant, len(specs)), read: time.Now()}
	for _, spec := range specs {
		account := newTenant()
		if before != nil && before.byName[spec.Tenant] != nil {
			account = before.byName[spec.Tenant]
		}
		account.follow(spec)
		next.byName[spec.Tenant] = account
	}
	for d, name := range owners {
		next.owners[d] = next.byName[name]
	}
	next.names = slices.Sorted(maps.Keys(next.byName))
	d.current.Store(next)
	d.seen = text
	return nil
}

// run looks at the file until ctx ends.
func (d *door) run(ctx context.Context, every time.Duration, log *slog.Logger) {
	if d.path == "" {
		return
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			d.look(log)
		}
	}
}

// look takes over a file that has changed. It compares content, since a file
// that is put in another's place may be older. A file that is not in order
// changes nothing and is complained about once.
func (d *door) look(log *slog.Logger) {
	text, err := readTenantsFile(d.path)
	if err == nil {
		if bytes.Equal(text, d.seen) && d.failed.Load() == nil {
			return
		}
		err = d.take(text)
	}
	if err == nil {
		d.failed.Store(nil)
		log.Info("new tenants file", slog.Int("tenants", len(d.current.Load().names)))
		return
	}
	message := err.Error()
	if last := d.failed.Load(); last == nil || *last != message {
		log.Warn("the tenants file can't be used; the tenants of the last good one stay", slog.Any("error", err))
	}
	d.failed.Store(&message)
}

// TenantsStatus says who may call, see Status.
type TenantsStatus struct {
	Read    time.Time      `json:"read"`            // when the tenants in use were read
	Error   string         `json:"error,omitempty"` // why the file, as it is now, is not in use
	Unknown int64          `json:"unknown"`         // requests without a known key
	Tenants []TenantStatus `json:"tenants"`         // sorted by name
}

// TenantStatus is one caller. Counts are since the gateway started.
type TenantStatus struct {
	Tenant    string   `json:"tenant"`
	Endpoints []string `json:"endpoints"`
	InFlight  int64    `json:"in_flight"`
	Admitted  int64    `json:"admitted"`
	TooFast   int64    `json:"too_fast"`  // refused for the rate
	TooMany   int64    `json:"too_many"`  // refused for the concurrency
	Forbidden int64    `json:"forbidden"` // for an endpoint that is not theirs
}

// status is nil for an open door.
func (d *door) status() *TenantsStatus {
	all := d.current.Load()
	if all == nil {
		return nil
	}
	status := &TenantsStatus{Read: all.read.UTC(), Unknown: d.unknown.Load(), Tenants: []TenantStatus{}}
	if failed := d.failed.Load(); failed != nil {
		status.Error = *failed
	}
	for _, name := range all.names {
		t := all.byName[name]
		status.Tenants = append(status.Tenants, TenantStatus{
			Tenant: name, Endpoints: t.spec.Load().Endpoints, InFlight: t.inFlight.Load(), Admitted: t.admitted.Load(),
			TooFast: t.tooFast.Load(), TooMany: t.tooMany.Load(), Forbidden: t.forbidden.Load(),
		})
	}
	return status
}
