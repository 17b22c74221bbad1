package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// datasets describes a snapshot the way MLflow's run page shows datasets: one
// entry per side of the split, both with the snapshot's own digest. MLflow's
// would be of the first 10,000 rows.
func (t *Tracking) datasets(ctx context.Context, name string, snapshot models.Snapshot) ([]mlflow.Dataset, error) {
	rows, err := t.profile(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	source, err := json.Marshal(map[string]string{"uri": snapshot.Manifest.URI})
	if err != nil {
		return nil, fmt.Errorf("describe snapshot: %w", err)
	}
	var all []mlflow.Dataset
	for _, side := range []struct {
		purpose string
		span    models.Span
		rows    profile.SideProfile
	}{{"training", snapshot.Train, rows.Train}, {"evaluation", snapshot.Test, rows.Test}} {
		schema, err := datasetSchema(snapshot.Columns, side.rows)
		if err != nil {
			return nil, fmt.Errorf("describe snapshot: %w", err)
		}
		figures, err := datasetProfile(side.span, side.rows)
		if err != nil {
			return nil, fmt.Errorf("describe snapshot: %w", err)
		}
		all = append(all, mlflow.Dataset{
			Name: name + " " + side.purpose, Digest: mlflow.DatasetDigest(snapshot.SHA256()), SourceType: "s3",
			Source: string(source), Schema: schema, Profile: figures, Context: side.purpose,
		})
	}
	return all, nil
}

// profile is what a snapshot's rows look like; without one it is empty.
func (t *Tracking) profile(ctx context.Context, snapshot models.Snapshot) (profile.Profile, error) {
	if t.Store == nil {
		return profile.Profile{}, nil
	}
	found, err := readProfile(ctx, t.Store, snapshot.Profile)
	if err != nil || found == nil { // none is no reason not to train
		return profile.Profile{}, err
	}
	return *found, nil
}

// colspecType is a column's type in MLflow's words.
func colspecType(column string) string {
	switch column {
	case "int64":
		return "long"
	case "float64":
		return "double"
	case "bool":
		return "boolean"
	case "timestamp":
		return "datetime"
	}
	return "string"
}

// datasetSchema says which columns there are. MLflow reads the first field and
// refuses a column with fields that it does not know; the roles are beside it. A
// column is required if none of its rows lacks a value, and, where that is not
// known, if a row without it would not be there.
func datasetSchema(columns []models.Column, rows profile.SideProfile) (string, error) {
	type colspec struct {
		Name     string `json:"name"`
		Type     string `json:"type"`
		Required bool   `json:"required"`
	}
	specs := make([]colspec, len(columns))
	roles := make(map[string]string, len(columns))
	for i, c := range columns {
		required := c.Role == "key" || c.Role == "time" || c.Role == "label"
		if seen := rows.Column(c.Name); seen != nil {
			required = seen.Nulls == 0
		}
		specs[i] = colspec{Name: c.Name, Type: colspecType(c.Type), Required: required}
		roles[c.Name] = c.Role
	}
	schema, err := json.Marshal(map[string]any{"mlflow_colspec": specs, "mainspring_roles": roles})
	return string(schema), err
}

// columnFigures are what MLflow shows of a column. Of a sensitive one it is how
// many rows lack a value, and nothing that a row has.
type columnFigures struct {
	Nulls    int64    `json:"nulls"`
	Distinct *int64   `json:"distinct,omitempty"`
	Mean     *float64 `json:"mean,omitempty"`
	Sigma    *float64 `json:"sigma,omitempty"`
	Min      *float64 `json:"min,omitempty"` // times in Unix seconds
	Max      *float64 `json:"max,omitempty"`
}

// maxDatasetProfile is what MySQL has room for, beside the rest.
const maxDatasetProfile = 60_000

// datasetProfile sums a side's profile up. The profile of very many columns is
// left out; the snapshot has it.
func datasetProfile(span models.Span, rows profile.SideProfile) (string, error) {
	figures := map[string]any{"num_rows": span.Rows, "from": span.From.Format(time.RFC3339), "to": span.To.Format(time.RFC3339)}
	short, err := json.Marshal(figures)
	if err != nil || len(rows.Columns) == 0 {
		return string(short), err
	}
	columns := make(map[string]columnFigures, len(rows.Columns))
	for _, c := range rows.Columns {
		one := columnFigures{Nulls: c.Nulls}
		if n := c.Numbers; n != nil && n.Count > 0 && !c.Sensitive {
			one.Mean, one.Sigma, one.Min, one.Max = &n.Mean, &n.Sigma, &n.Min, &n.Max
		}
		if c.Values != nil && !c.Sensitive {
			one.Distinct = &c.Values.Distinct
		}
		columns[c.Name] = one
	}
	figures["columns"] = columns
	long, err := json.Marshal(figures)
	if err != nil || len(long) > maxDatasetProfile {
		return string(short), err
	}
	return string(long), nil
}
