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
func NVIDIA() Inventory { return nvidia{host: hostFiles()} }

type nvidia struct{ host fs.FS }

// Devices implements Inventory.
func (n nvidia) Devices(context.Context) ([]models.Device, error) {
	trace, err := driverInstalled(n.host)
	if err != nil || trace == "" {
		return nil, err
	}
	return nil, fmt.Errorf("this host has an NVIDIA driver (%s), but NVML is compiled out of this binary; "+
		"use one that is built with CGO_ENABLED=1", trace)
}
