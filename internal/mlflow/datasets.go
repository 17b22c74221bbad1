package mlflow

import (
	"context"
	"fmt"
	"unicode/utf8"
)

// Dataset is data that a run was made from.
type Dataset struct {
	Name string
	// Digest has at most 36 characters; see [DatasetDigest].
	Digest     string
	SourceType string // "s3", "http", "local"
	Source     string // JSON that describes the source, such as {"uri":"s3://…"}
	Schema     string // JSON; may be empty
	Profile    string // JSON, such as {"num_rows":120}; may be empty
	Context    string // "training" or "evaluation"; may be empty
}

// contextTag is where MLflow's UI looks for a dataset's purpose.
const contextTag = "mlflow.data.context"

type wireDataset struct {
	Name       string `json:"name"`
	Digest     string `json:"digest"`
	SourceType string `json:"source_type"`
	Source     string `json:"source"`
	Schema     string `json:"schema,omitempty"`
	Profile    string `json:"profile,omitempty"`
}

type wireDatasetInput struct {
	Tags    []tag       `json:"tags,omitempty"`
	Dataset wireDataset `json:"dataset"`
}

func (w wireDatasetInput) dataset() Dataset {
	d := w.Dataset
	return Dataset{Name: d.Name, Digest: d.Digest, SourceType: d.SourceType, Source: d.Source,
		Schema: d.Schema, Profile: d.Profile, Context: tagMap(w.Tags)[contextTag]}
}

// LogDatasets records a run's inputs. A dataset is identified by name and
// digest; logging it again is a no-op.
func (c *Client) LogDatasets(ctx context.Context, runID string, datasets ...Dataset) error {
	const op = "log datasets"
	inputs := make([]wireDatasetInput, 0, len(datasets))
	for _, d := range datasets {
		if n := utf8.RuneCountInString(d.Name); n == 0 || n > maxDatasetName {
			return refuse(op, "run "+runID, fmt.Sprintf("the dataset's name has %d characters", n),
				fmt.Sprintf("use 1 to %d", maxDatasetName))
		}
		if n := utf8.RuneCountInString(d.Digest); n == 0 || n > maxDatasetDigest {
			return refuse(op, "dataset "+d.Name, fmt.Sprintf("the digest has %d characters", n),
				fmt.Sprintf("use 1 to %d; DatasetDigest shortens a SHA-256", maxDatasetDigest))
		}
		in := wireDatasetInput{Dataset: wireDataset{Name: d.Name, Digest: d.Digest, SourceType: d.SourceType,
			Source: d.Source, Schema: d.Schema, Profile: d.Profile}}
		if d.Context != "" {
			in.Tags = []tag{{contextTag, d.Context}}
		}
		inputs = append(inputs, in)
	}
	if len(inputs) == 0 {
		return nil
	}
	body := map[string]any{"run_id": runID, "datasets": inputs}
	return c.do(ctx, post(op, "run "+runID, "runs/log-inputs", body), nil)
}
