package reliability

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/laptop"
)

func (m *matrix) store() (artifact.Store, error) {
	environment := map[string]string{}
	for _, pair := range m.laptop.Access().Env() {
		name, value, _ := strings.Cut(pair, "=")
		environment[name] = value
	}
	return artifact.NewS3(artifact.ConfigFromEnv(func(name string) string { return environment[name] }))
}

// digest is that of the exported model alone: what lies beside it names the run.
func (m *matrix) digest(ctx context.Context, manifest models.Ref) (string, error) {
	store, err := m.store()
	if err != nil {
		return "", err
	}
	tree, err := artifact.ReadTree(ctx, store, manifest)
	if err != nil {
		return "", err
	}
	for _, file := range tree.Files {
		if file.Path == "model.onnx" {
			return file.SHA256, nil
		}
	}
	return "", fmt.Errorf("%s has no model.onnx", manifest.URI)
}

// damage changes the bytes of a file in the newest stored checkpoint and leaves
// its size: only a digest can tell.
func (s *scene) damage(ctx context.Context) error {
	ranks := s.ranks()
	if len(ranks) == 0 {
		return fmt.Errorf("no rank of %s runs", s.id)
	}
	store, err := s.m.store()
	if err != nil {
		return err
	}
	step := fmt.Sprintf("%sstep-%d", models.CheckpointPrefix(ranks[0].key), strikeAt/CheckpointEvery*CheckpointEvery)
	err = laptop.Eventually(laptop.Patience, func() (bool, any) { // it may still be on its way
		_, err := artifact.FindTree(ctx, store, step)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	files, err := store.List(ctx, step+"/")
	if err != nil {
		return err
	}
	largest := slices.MaxFunc(files, func(a, b artifact.Info) int { return int(a.Size - b.Size) })
	_, err = store.Put(ctx, largest.Key, bytes.NewReader(make([]byte, largest.Size)), largest.Size, artifact.PutOptions{})
	return err
}
