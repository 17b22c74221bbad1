package devstack

import (
	"context"
	"path/filepath"
	"slices"
)

const itemModelSigning = "model-signing"

// SetupModelSigning installs OpenSSF's model_signing and returns its program.
// Tests hold signatures against it; no stack needs it, so Setup and Doctor do
// not know of it.
func SetupModelSigning(ctx context.Context, reporter Reporter) (string, error) {
	c, err := openCache()
	if err != nil {
		return "", err
	}
	python, err := findPython(ctx)
	if err != nil {
		return "", err
	}
	k := kitchen{cache: c, python: python}
	items := slices.DeleteFunc(k.items(), func(it item) bool { return it.name != itemUV })
	s := newSetup(c, append(items, k.modelSigning()), reporter)
	if err := s.run(ctx); err != nil {
		return "", err
	}
	return s.found[itemModelSigning].Path, nil
}

func (k kitchen) modelSigning() item {
	it := item{
		name: itemModelSigning, title: "OpenSSF model_signing", version: pythonPin(modelSigningLock, "model-signing"), sizeMiB: 150,
		needs: []string{itemUV}, file: "env/bin/model_signing", build: k.buildModelSigning,
	}
	it.entry = entryName(it.name, it.version, append(k.environment(), modelSigningLock)...)
	return it
}

func (k kitchen) buildModelSigning(ctx context.Context, dir string) error {
	env := filepath.Join(dir, "env")
	if err := k.uv(ctx, "venv", "--quiet", "--relocatable", "--python", k.python.path, env); err != nil {
		return err
	}
	return k.installLocked(ctx, dir, modelSigningLock, "--python", filepath.Join(env, "bin", "python"), "--compile-bytecode")
}
