package copying

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Provenance tells the other side what a copied model version is. It is
// <model>/<version>.provenance.json, and says the same however often it is
// copied.
type Provenance struct {
	Format       int        `json:"format"` // 1
	Model        string     `json:"model"`
	Version      string     `json:"version"` // where it was registered
	From         string     `json:"from"`    // URI of the copied tree's manifest
	SHA256       string     `json:"sha256"`  // of that manifest, which is the artifact's digest
	RunID        string     `json:"run_id"`  // MLflow
	Lifecycle    string     `json:"lifecycle"`
	LifecycleRun string     `json:"lifecycle_run,omitempty"`
	Snapshot     models.Ref `json:"snapshot,omitzero"` // manifest of the training data; without a URI only its digest is known
	CodeSHA256   string     `json:"code_sha256,omitempty"`
	CodeCommit   string     `json:"code_commit,omitempty"`
	SpecSHA256   string     `json:"spec_sha256,omitempty"`
	RegisteredAt string     `json:"registered_at"` // RFC 3339, wall clock
	// SigningKey is the ID of the key that the version is signed with; empty: it is
	// not signed.
	SigningKey string `json:"signing_key,omitempty"`
}

const maxBundle = 64 << 20

// Version plans the copy of a registered model version: its files at
// <model>/<version>/, what is known of it beside them, the signature too if
// there is one, and the manifest of the files last.
func Version(ctx context.Context, store artifact.Store, model string, v models.ModelVersion) (Plan, error) {
	c := v.Candidate
	if c.Artifact.Manifest.URI == "" {
		return Plan{}, fmt.Errorf("version %s of %s does not say where its files are", v.Version, model)
	}
	key := path.Join(model, v.Version)
	plan, err := Tree(ctx, store, c.Artifact.Manifest, key)
	if err != nil {
		return Plan{}, err
	}
	plan.What = fmt.Sprintf("%s version %s", model, v.Version)
	told := Provenance{
		Format: 1, Model: model, Version: v.Version, From: c.Artifact.Manifest.URI, SHA256: c.Artifact.Manifest.SHA256,
		RunID: c.RunID, Lifecycle: c.Lifecycle, LifecycleRun: c.LifecycleRun, Snapshot: c.SnapshotManifest,
		CodeSHA256: c.CodeSHA256, CodeCommit: c.CodeCommit, SpecSHA256: c.SpecSHA256,
		RegisteredAt: v.RegisteredAt.UTC().Format(time.RFC3339),
	}
	if told.Snapshot.SHA256 == "" {
		told.Snapshot.SHA256 = c.Snapshot
	}
	var before []Seal
	if v.Signature != nil {
		told.SigningKey = v.Signature.KeyID
		for _, file := range []struct {
			suffix string
			ref    models.Ref
		}{{".sigstore.json", v.Signature.Bundle}, {".slsa.sigstore.json", v.Signature.Provenance}} {
			if file.ref.URI == "" {
				continue
			}
			content, err := artifact.ReadRef(ctx, store, file.ref, maxBundle)
			if err != nil {
				return Plan{}, err
			}
			before = append(before, Seal{Key: key + file.suffix, Content: content})
		}
	}
	encoded, err := json.MarshalIndent(told, "", "  ")
	if err != nil {
		return Plan{}, fmt.Errorf("encode what is known of %s: %w", plan.What, err)
	}
	before = append(before, Seal{Key: key + ".provenance.json", Content: append(encoded, '\n')})
	plan.Seals = slices.Concat(before, plan.Seals)
	return plan, nil
}
