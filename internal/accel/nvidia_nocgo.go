//go:build !cgo

package accel

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/mainspring-ml/mainspring/models"
)

// NVIDIA can't list devices in a build without cgo. On a host without a driver
// there are none to miss; on any other it says so.
func NVIDIA() Inventory { return newNVIDIA(hostFiles()) }

func newNVIDIA(host fs.FS) nvidia { return nvidia{host: host} }

type nvidia struct{ host fs.FS }

// WithXIDPolicy does nothing: no XID is heard in a build without cgo.
func WithXIDPolicy(inventory Inventory, _ XIDPolicy) Inventory { return inventory }

// Devices implements Inventory.
func (n nvidia) Devices(context.Context) ([]models.Device, error) {
	trace, err := driverInstalled(n.host)
	if err != nil {
		return nil, err
	}
	if trace == "" {
		return []models.Device{}, nil
	}
	return nil, fmt.Errorf("this host has an NVIDIA driver (%s), but NVML is compiled out of this binary; "+
		"use one that is built with CGO_ENABLED=1", trace)
}
