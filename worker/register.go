package worker

import (
	"go.temporal.io/sdk/worker"
)

// RegisterActivities registers every adapter of the shared queue. Activity
// types are method names, so they are unique across adapters.
func RegisterActivities(registry worker.ActivityRegistry, a *adapters) {
	for _, adapter := range []any{
		a.preparation, a.tracking, a.checkpoints, a.scoring, a.registry, a.routing, a.blocks, a.drift, a.losses, a.entities, a.audit, a.signing,
		a.retrainings, a.lineage,
	} {
		registry.RegisterActivity(adapter)
	}
}
