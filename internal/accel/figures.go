package accel

// Figures are what a device does at the moment. A nil figure is one that the
// device, its driver or its mode does not tell.
type Figures struct {
	UUID string `json:"uuid"`

	PowerW        *float64 `json:"power_w,omitempty"`
	PowerLimitW   *float64 `json:"power_limit_w,omitempty"`
	TemperatureC  *int     `json:"temperature_c,omitempty"`
	Utilisation   *int     `json:"utilisation_pct,omitempty"` // of the last sample period
	MemoryUsedMiB *int64   `json:"memory_used_mib,omitempty"`

	ECC      *ECC      `json:"ecc,omitempty"`
	Remapped *Remapped `json:"remapped_rows,omitempty"`
	// Recovery is what the driver says the device needs, such as "a reset", or
	// NeedsNothing; empty when it does not say.
	Recovery string `json:"recovery,omitempty"`

	Processes []Process `json:"processes,omitempty"`
}

// NeedsNothing is the recovery of a device that is well.
const NeedsNothing = "nothing"

// ECC counts memory errors that could not be corrected.
type ECC struct {
	Enabled     bool    `json:"enabled"`
	Uncorrected *uint64 `json:"uncorrected,omitempty"` // since the driver was loaded
	Lifetime    *uint64 `json:"uncorrected_lifetime,omitempty"`
}

// Remapped counts memory rows that were replaced by spare ones.
type Remapped struct {
	Correctable   int  `json:"correctable"`
	Uncorrectable int  `json:"uncorrectable"`
	Pending       bool `json:"pending"` // a reset will remap
	Failed        bool `json:"failed"`  // no spare row was left
}

// Process computes on a device.
type Process struct {
	PID       int    `json:"pid"`
	Name      string `json:"name,omitempty"`
	MemoryMiB int64  `json:"memory_mib,omitempty"` // 0: not told
}
