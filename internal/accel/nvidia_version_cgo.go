//go:build cgo

package accel

import (
	"context"
	"errors"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// DriverVersion implements DriverTeller.
func (n nvidia) DriverVersion(ctx context.Context) (string, error) {
	return bounded(ctx, n.turn, func() (version string, err error) {
		closeIt, err := n.open()
		if errors.Is(err, errNoDriver) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, closeIt()) }()
		if !n.has("nvmlSystemGetDriverVersion") {
			return "", nil
		}
		text, ret := n.lib.SystemGetDriverVersion()
		if ret != nvml.SUCCESS {
			return "", failed("read the driver's version", ret)
		}
		return "NVIDIA " + text, nil
	})
}
