package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/openlineage"
	"github.com/mainspring-ml/mainspring/models"
)

// Lineage sends lineage events.
type Lineage struct {
	Store artifact.Store
	// Transport carries the events; nil: they go nowhere.
	Transport openlineage.Transport
	Producer  openlineage.Producer
}

var _ models.Lineage = (*Lineage)(nil)

// EmitLineage implements models.Lineage. A profile that can't be read costs the
// event its figures, not its arrival.
func (l *Lineage) EmitLineage(ctx context.Context, event models.LineageEvent) error {
	if l.Transport == nil {
		return nil
	}
	figures := openlineage.Figures{}
	for _, in := range event.Inputs {
		if in.Snapshot == nil || in.Snapshot.Profile.SHA256 == "" {
			continue
		}
		if columns, err := l.columns(ctx, *in.Snapshot); err == nil {
			figures[in.URI] = columns
		}
	}
	err := l.Transport.Send(ctx, l.Producer.Event(event, figures))
	if errors.Is(err, openlineage.ErrRefused) {
		return &models.Error{Kind: models.KindInvalidSpec, Subject: "OPENLINEAGE_URL", Message: "the event is refused", Cause: err}
	}
	return unavailable("OPENLINEAGE_URL", "the event can't be sent", err)
}

// columns are the figures of one side's columns. A sensitive column has no values
// in a profile, and none here.
func (l *Lineage) columns(ctx context.Context, s models.LineageSnapshot) (map[string]openlineage.ColumnMetrics, error) {
	p, err := readProfile(ctx, l.Store, s.Profile)
	if err != nil || p == nil {
		return nil, err
	}
	var side profile.SideProfile
	switch s.Side {
	case dataset.TrainDir:
		side = p.Train
	case dataset.TestDir:
		side = p.Test
	default:
		return nil, nil
	}
	columns := make(map[string]openlineage.ColumnMetrics, len(side.Columns))
	for i := range side.Columns {
		columns[side.Columns[i].Name] = metricsOf(&side.Columns[i])
	}
	return columns, nil
}

// metricsOf tells of a column what OpenLineage has words for.
func metricsOf(c *profile.Column) openlineage.ColumnMetrics {
	count := c.Rows - c.Nulls
	m := openlineage.ColumnMetrics{NullCount: &c.Nulls, Count: &count}
	if c.Sensitive {
		return m
	}
	if c.Values != nil {
		m.DistinctCount = &c.Values.Distinct
	}
	if n := c.Numbers; n != nil && n.Count > 0 {
		m.Min, m.Max, m.Quantiles = &n.Min, &n.Max, map[string]float64{}
		for _, q := range []float64{0.05, 0.25, 0.5, 0.75, 0.95} {
			if v := n.Quantile(q); isFinite(v) {
				m.Quantiles[fmt.Sprint(q)] = v
			}
		}
	}
	return m
}
