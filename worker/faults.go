package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/models"
)

// faults is the ledger of this host's devices, in a file of the state directory:
// an agent that is started anew must not offer what the last one has seen fail.
type faults struct {
	ledger accel.Ledger
	path   string
	saved  []byte
}

// openFaults resumes the ledger. Devices come back with a reboot, when their
// driver says that they need nothing any more, or when a person says so.
func openFaults(ctx context.Context, config AgentConfig, inventory accel.Inventory) (*faults, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("tell this boot from others: %w", err)
	}
	f, err := readFaults(filepath.Join(config.StateDir, "device-faults.json"), strings.TrimSpace(string(boot)))
	if err != nil {
		return nil, err
	}
	if config.ForgetFaults {
		f.ledger.Forget()
	}
	if measurer, ok := inventory.(accel.Measurer); ok && len(f.ledger.Events) > 0 {
		figures, err := measurer.Measure(ctx)
		if err != nil {
			slog.Warn("not known whether devices were reset; their faults stand", "error", err)
		}
		f.ledger.Recover(figures)
	}
	return f, nil
}

func readFaults(path, boot string) (*faults, error) {
	f := &faults{path: path}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read the faults that the last agent has seen: %w", err)
	default:
		if err := json.Unmarshal(data, &f.ledger); err != nil {
			return nil, fmt.Errorf("read the faults that the last agent has seen in %s: %w; "+
				"remove the file if this host's devices are well", path, err)
		}
	}
	f.ledger = f.ledger.Resume(boot)
	return f, nil
}

func (f *faults) record(event accel.Event, now time.Time) bool { return f.ledger.Record(event, now) }

func (f *faults) apply(devices []models.Device, now time.Time) []models.Device {
	return f.ledger.Apply(devices, now)
}

// save writes the ledger down if it has changed: whole, or not at all.
func (f *faults) save() error {
	data, err := json.Marshal(f.ledger)
	if err != nil || bytes.Equal(data, f.saved) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	half := f.path + ".new"
	if err := os.WriteFile(half, data, 0o600); err != nil {
		return err
	}
	if err := os.Rename(half, f.path); err != nil {
		return err
	}
	f.saved = data
	return nil
}
