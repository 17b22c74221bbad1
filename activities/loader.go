package activities

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// ServingModels loads models with the runtime that serves them, so that what
// is judged is what will answer.
type ServingModels struct {
	Store artifact.Store
	// Runtime opens the process's runtime; called once per model, so it must
	// remember (sync.OnceValues).
	Runtime func() (*serving.Runtime, error)
	// Dir is where models are unpacked while they are in use. Empty: the
	// system's temporary directory.
	Dir string
}

var _ ModelLoader = (*ServingModels)(nil)

// LoadModel implements ModelLoader.
func (m *ServingModels) LoadModel(ctx context.Context, model models.ModelArtifact) (Predictor, error) {
	runtime, err := m.Runtime()
	if err != nil {
		return nil, err
	}
	dir, err := newUnpackDir(m.Dir)
	if err != nil {
		return nil, err
	}
	loaded, files := &unpackedModel{dir: dir}, filepath.Join(dir.path, "model")
	if err := artifact.GetTree(ctx, m.Store, model.Manifest, files); err != nil {
		return nil, errors.Join(err, dir.remove())
	}
	if loaded.Model, err = runtime.Load(files); err != nil {
		return nil, errors.Join(err, dir.remove())
	}
	return loaded, nil
}

// unpackedModel takes its files along when it is closed.
type unpackedModel struct {
	*serving.Model
	dir unpackDir
}

// Close implements Predictor.
func (m *unpackedModel) Close() error { return errors.Join(m.Model.Close(), m.dir.remove()) }
