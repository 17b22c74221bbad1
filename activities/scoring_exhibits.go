package activities

import (
	"context"
	"path"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/internal/gate/exhibit"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// writeExhibits writes the plots and tables to the run's artifacts, where
// MLflow shows them. The gate's table needs the gate's answer, which is a pure
// function of the evidence: the workflow will find the same.
func (s *Scoring) writeExhibits(ctx context.Context, input models.EvaluateInput, evaluation models.Evaluation, curves metric.Curves) ([]models.EvidenceFile, error) {
	if input.ArtifactURI == "" {
		return nil, nil
	}
	root := strings.TrimSuffix(input.ArtifactURI, "/") + "/"
	bucket, prefix, err := artifact.ParseURI(root)
	if err != nil {
		return nil, &models.Error{
			Kind: models.KindInvalidSpec, Subject: "MLflow run " + input.RunID, Message: "its artifacts do not lie in S3", Cause: err,
			Hint: "start MLflow with --default-artifact-root s3://bucket/prefix",
		}
	}
	evidence := exhibit.Evidence{
		Model: input.Model, Task: taskOf(input.Data), Spec: input.Spec, Evaluation: evaluation, Curves: curves,
		Gate: gate.Decide(input.Spec, taskOf(input.Data), evaluation),
	}
	if input.Champion != nil {
		evidence.Champion = input.Champion.Version
	}
	store := s.Store.InBucket(bucket)
	var files []models.EvidenceFile
	for _, file := range exhibit.Files(evidence) {
		ref := models.Ref{URI: root + file.Name, SHA256: artifact.Digest(file.Content), Size: int64(len(file.Content))}
		options := artifact.PutOptions{ContentType: contentType(file.Name)}
		if _, err := artifact.PutBytes(ctx, store, prefix+file.Name, file.Content, options); err != nil {
			return nil, unavailable(ref.URI, "the evidence can't be written", err)
		}
		files = append(files, models.EvidenceFile{Name: file.Name, Ref: ref})
		recordProgress(ctx, file.Name)
	}
	return files, nil
}

func contentType(name string) string {
	switch path.Ext(name) {
	case ".svg":
		return "image/svg+xml"
	case ".json":
		return "application/json"
	default:
		return "text/plain; charset=utf-8"
	}
}
