package activities

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// storeLogs puts the ranks' logs where MLflow's pages show them. A log that
// can't be stored is no reason to fail.
func (g *gang) storeLogs(ctx context.Context) {
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	folder := "logs"
	if g.req.Restart > 0 {
		folder = fmt.Sprintf("logs/restart-%d", g.req.Restart)
	}
	for local := range g.req.Node.Devices {
		name := g.rankName(local)
		bucket, key, err := artifact.ParseURI(g.req.Run.ArtifactURI + "/" + folder + "/" + name + ".log")
		if err == nil {
			_, err = artifact.PutFile(ctx, g.h.Store.InBucket(bucket), key, logPath(g.dir, name))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			slog.Warn("log not stored", "rank", name, "run", g.req.Run.RunID, "error", err)
		}
	}
}
