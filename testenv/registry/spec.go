package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// specOf is a lifecycle of the model as of the n-th day.
func specOf(model string, n int, released bool) models.LifecycleSpec {
	s := models.LifecycleSpec{
		Model: models.ModelSpec{Name: model, Description: "A model of the registry's proof."},
		Data: models.DataSpec{
			Source: "s3://mainspring/nothing/", Time: "t", Key: "k", Label: "y", Features: []string{"x"},
			AsOf: time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC), Window: 20 * models.Day, Holdout: 5 * models.Day,
		},
		Train: models.TrainSpec{Command: []string{"true"}, Params: map[string]any{"depth": 3}},
	}
	if released {
		s.Deploy = &models.DeploySpec{Endpoint: model, Canary: models.CanarySpec{Steps: []float64{50}, Evidence: models.EvidenceRequests, Poll: models.Duration(5 * time.Second)}}
	}
	return s
}

// traffic says in advance what a gateway would have counted: that every version
// answers well under every generation of the route.
func traffic(ctx context.Context, store artifact.Store, endpoint string, generations int64, versions int) error {
	stats := models.GatewayStats{Gateway: "nobody", Boot: "once"}
	for generation := int64(1); generation <= generations; generation++ {
		for version := 1; version <= versions; version++ {
			stats.Arms = append(stats.Arms, models.ArmStats{Generation: generation, Version: strconv.Itoa(version), Requests: 5000})
		}
	}
	text, err := json.Marshal(stats)
	if err != nil {
		return err
	}
	_, err = store.Put(ctx, models.StatsPrefix(endpoint)+"nobody.json", bytes.NewReader(text), int64(len(text)), artifact.PutOptions{ContentType: "application/json"})
	return err
}
