package activities

import (
	"context"
	"errors"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/openlineage"
	"github.com/mainspring-ml/mainspring/models"
)

// book keeps the events that it is asked to send.
type book struct {
	events []openlineage.RunEvent
	err    error
}

func (b *book) Send(_ context.Context, e openlineage.RunEvent) error {
	b.events = append(b.events, e)
	return b.err
}

func TestEventsTellWhatTheProfileShows(t *testing.T) {
	ctx, memory := context.Background(), artifact.NewMemory("mainspring")
	p := profile.Profile{Format: 1, Train: profile.SideProfile{Rows: 10, Columns: []profile.Column{
		{Name: "distance", Type: "int64", Rows: 10, Nulls: 2, Numbers: &profile.Numbers{Count: 8, Min: 3, Max: 90}, Values: &profile.Values{Distinct: 7}},
		{Name: "passenger", Type: "string", Rows: 10, Sensitive: true, Lengths: &profile.Lengths{Count: 10, Max: 12}},
	}}}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := artifact.PutObjectBytes(ctx, memory, data)
	if err != nil {
		t.Fatal(err)
	}
	event := models.LineageEvent{Type: models.LineageComplete, Job: "m/train", Inputs: []models.LineageDataset{{
		URI: "s3://mainspring/m.json", Snapshot: &models.LineageSnapshot{Rows: 10, Side: "train", Profile: ref},
	}}}
	sent := &book{}
	l := &Lineage{Store: memory, Transport: sent}
	if err := l.EmitLineage(ctx, event); err != nil {
		t.Fatal(err)
	}
	columns := sent.events[0].Inputs[0].InputFacets.DataQuality.Columns
	if c := columns["distance"]; *c.NullCount != 2 || *c.Count != 8 || *c.DistinctCount != 7 || *c.Min != 3 || *c.Max != 90 || len(c.Quantiles) == 0 {
		t.Errorf("distance %+v", c)
	}
	if c := columns["passenger"]; c.Min != nil || c.Max != nil || c.DistinctCount != nil || c.Quantiles != nil || *c.NullCount != 0 {
		t.Errorf("a sensitive column shows %+v", c)
	}

	event.Inputs[0].Snapshot.Profile.URI = "s3://mainspring/objects/gone"
	if err := l.EmitLineage(ctx, event); err != nil || len(sent.events) != 2 {
		t.Errorf("without the profile: %d events, %v", len(sent.events), err)
	}
}

func TestLineageThatIsRefusedIsNotSentAgain(t *testing.T) {
	ctx := context.Background()
	if err := (&Lineage{}).EmitLineage(ctx, models.LineageEvent{}); err != nil {
		t.Errorf("nowhere to send it: %v", err)
	}
	refusing := &Lineage{Transport: &book{err: openlineage.ErrRefused}}
	wantKind(t, refusing.EmitLineage(ctx, models.LineageEvent{}), models.KindInvalidSpec, "refused")
	silent := &Lineage{Transport: &book{err: errors.New("connection refused")}}
	wantKind(t, silent.EmitLineage(ctx, models.LineageEvent{}), models.KindUnavailable, "connection refused")
}
