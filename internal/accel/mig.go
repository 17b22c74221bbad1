package accel

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// MIGLayout is how one device is cut into instances.
type MIGLayout []MIGProfile

// MIGProfile names the size of an instance, such as 1g.10gb: one of the device's
// seven compute slices, and 10 GiB.
type MIGProfile struct {
	Name      string
	Slices    int
	MemoryMiB int64
}

var migProfilePattern = regexp.MustCompile(`^(?:\d+c\.)?(\d)g\.(\d+)gb(?:[+-][a-z.]+)?$`)

// ParseMIGProfile reads "1g.10gb", "1c.2g.20gb" or "1g.10gb+me".
func ParseMIGProfile(name string) (MIGProfile, error) {
	parts := migProfilePattern.FindStringSubmatch(name)
	if parts == nil {
		return MIGProfile{}, fmt.Errorf("MIG profile %q: write slices and memory, such as 1g.10gb", name)
	}
	slices, err := strconv.Atoi(parts[1])
	if err != nil {
		return MIGProfile{}, err
	}
	gib, err := strconv.ParseInt(parts[2], 10, 32)
	if err != nil {
		return MIGProfile{}, fmt.Errorf("MIG profile %q: %w", name, err)
	}
	return MIGProfile{Name: name, Slices: slices, MemoryMiB: gib << 10}, nil
}

// migSlices is how many compute slices a device has.
const migSlices = 7

// ParseMIGLayout reads "1g.10gb*7" or "3g.40gb,2g.20gb,1g.10gb*2"; "none" is a
// whole device.
func ParseMIGLayout(text string) (MIGLayout, error) {
	if text == "none" {
		return nil, nil
	}
	var layout MIGLayout
	used := 0
	for part := range strings.SplitSeq(text, ",") {
		name, times, repeated := strings.Cut(strings.TrimSpace(part), "*")
		count := 1
		if repeated {
			var err error
			if count, err = strconv.Atoi(times); err != nil || count < 1 || count > migSlices {
				return nil, fmt.Errorf("MIG layout %q: %q is no number of instances; there are 1 to %d", text, times, migSlices)
			}
		}
		profile, err := ParseMIGProfile(name)
		if err != nil {
			return nil, fmt.Errorf("MIG layout %q: %w", text, err)
		}
		for range count {
			layout = append(layout, profile)
			used += profile.Slices
		}
	}
	if used > migSlices {
		return nil, fmt.Errorf("MIG layout %q needs %d slices; a device has %d", text, used, migSlices)
	}
	return layout, nil
}
