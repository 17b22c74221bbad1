package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"time"
)

// Config describes a gateway. A zero duration, size or count means the default
// that is written at the field.
type Config struct {
	// Name tells gateways apart and survives a restart: a gateway that comes
	// back goes on with the watermark of its name.
	Name string
	// Boot tells the processes of one gateway apart. Empty: random.
	Boot string

	Poll       time.Duration // how often routes are looked at; 500ms
	Flush      time.Duration // how often the log is written to the store; 1s
	Stats      time.Duration // how often the counters are written to the store; 1s
	FlushRows  int           // rows that bring a flush forward; 5000
	BufferRows int           // rows that wait at most, per endpoint; more are dropped; 200000

	// SpoolDir is where rows wait that the store has not taken yet, so that they
	// survive a gateway that is killed. It also has the last good routes. No other
	// process may use it. Empty: rows wait in memory.
	SpoolDir   string
	SpoolEvery time.Duration // how often rows go from memory to the spool; 500ms
	SpoolBytes int64         // of the spool; beyond it rows wait in memory; 1 GiB
	// StateFile has the last good routes; empty: routes.json in SpoolDir, and
	// none without one.
	StateFile string

	Timeout      time.Duration // longest wait for one server's answer; 10s
	DialTimeout  time.Duration // longest wait for a connection; 500ms
	Eject        time.Duration // how long an unreachable replica is passed over; 1s
	Drain        time.Duration // longest wait for requests in flight when stopping; 10s
	MaxBodyBytes int64         // of an inference request or answer; 16 MiB
	MaxLabels    int64         // bytes of one labels request; 32 MiB

	// TenantsFile lists who may call, see TenantSpec. Empty: everybody may.
	TenantsFile string

	Log *slog.Logger // nil: the default logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Boot == "" {
		var random [6]byte
		if _, err := rand.Read(random[:]); err != nil {
			return c, fmt.Errorf("draw a boot id: %w", err)
		}
		c.Boot = hex.EncodeToString(random[:])
	}
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`).MatchString(c.Name) {
		return c, fmt.Errorf("the gateway's name %q must be made of letters, digits, '-', '_' and '.': it becomes part of object names", c.Name)
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&c.Poll, 500 * time.Millisecond}, {&c.Flush, time.Second}, {&c.Stats, time.Second}, {&c.SpoolEvery, 500 * time.Millisecond},
		{&c.Timeout, 10 * time.Second},
		{&c.DialTimeout, 500 * time.Millisecond}, {&c.Eject, time.Second}, {&c.Drain, 10 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
		if *d.value < 0 {
			return c, errors.New("the gateway's durations must be above 0")
		}
	}
	if c.FlushRows == 0 {
		c.FlushRows = 5000
	}
	if c.BufferRows == 0 {
		c.BufferRows = 200_000
	}
	if c.MaxBodyBytes == 0 {
		c.MaxBodyBytes = 16 << 20
	}
	if c.MaxLabels == 0 {
		c.MaxLabels = 32 << 20
	}
	if c.StateFile == "" && c.SpoolDir != "" {
		c.StateFile = filepath.Join(c.SpoolDir, "routes.json")
	}
	if c.SpoolBytes < 0 {
		return c, errors.New("the spool's size must be above 0")
	}
	if c.FlushRows < 0 || c.BufferRows < 0 {
		return c, errors.New("the gateway's numbers of rows must be above 0")
	}
	if c.MaxBodyBytes < 0 || c.MaxLabels < 0 {
		return c, errors.New("the largest sizes of requests must be above 0")
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c, nil
}
