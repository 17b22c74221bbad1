package worker

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/models"
)

// hostFacts tells what provenance wants to know of this host. It is asked when a
// training has ended: a driver may have been updated since the agent started.
func hostFacts(inventory accel.Inventory) func(context.Context) models.HostFacts {
	return func(ctx context.Context) models.HostFacts {
		driver, err := accel.DriverVersion(ctx, inventory)
		if err != nil {
			slog.Warn("the version of the devices' driver is not known; provenance will lack it", "error", err)
		}
		return models.HostFacts{OS: operatingSystem(), Driver: driver, Software: ownVersion()}
	}
}

// operatingSystem is such as "linux/amd64 6.1.0".
func operatingSystem() string {
	name := runtime.GOOS + "/" + runtime.GOARCH
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		name += " " + strings.TrimSpace(string(release))
	}
	return name
}
