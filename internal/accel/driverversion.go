package accel

import (
	"context"
	"errors"
	"strings"
)

// DriverTeller is an inventory that can tell the version of its devices'
// driver, such as "NVIDIA 550.54.15".
type DriverTeller interface {
	// DriverVersion returns "" where there is no driver, or one without a
	// version of its own.
	DriverVersion(context.Context) (string, error)
}

// DriverVersion asks an inventory; those that do not know have "".
func DriverVersion(ctx context.Context, inventory Inventory) (string, error) {
	teller, ok := inventory.(DriverTeller)
	if !ok {
		return "", nil
	}
	return teller.DriverVersion(ctx)
}

// DriverVersion asks all that know, and keeps what some of them can tell.
func (j joined) DriverVersion(ctx context.Context) (string, error) {
	var versions []string
	var failures []error
	for _, inventory := range j {
		version, err := DriverVersion(ctx, inventory)
		if version != "" {
			versions = append(versions, version)
		}
		failures = append(failures, err)
	}
	return strings.Join(versions, ", "), errors.Join(failures...)
}

// DriverVersion reads the version of the module amdgpu. One that is part of the
// kernel has none of its own.
func (a amd) DriverVersion(context.Context) (string, error) {
	if version := a.text("sys/module/amdgpu/version"); version != "" {
		return "amdgpu " + version, nil
	}
	return "", nil
}
