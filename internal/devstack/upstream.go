package devstack

import (
	"context"
	"path/filepath"
	"slices"
)

// Items that tests hold Mainspring against. No stack needs them, so Setup and
// Doctor do not know of them.
const (
	itemModelSigning = "model-signing"
	itemOpenLineage  = "openlineage"
)

// SetupModelSigning installs OpenSSF's model_signing and returns its program.
func SetupModelSigning(ctx context.Context, reporter Reporter) (string, error) {
	return setupUpstream(ctx, reporter, kitchen.modelSigning)
}

// SetupOpenLineage installs OpenLineage's own client and returns the Python
// that has it.
func SetupOpenLineage(ctx context.Context, reporter Reporter) (string, error) {
	return setupUpstream(ctx, reporter, kitchen.openLineage)
}

func setupUpstream(ctx context.Context, reporter Reporter, upstream func(kitchen) item) (string, error) {
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
	it := upstream(k)
	s := newSetup(c, append(items, it), reporter)
	if err := s.run(ctx); err != nil {
		return "", err
	}
	return s.found[it.name].Path, nil
}

func (k kitchen) modelSigning() item {
	return k.upstream(item{
		name: itemModelSigning, title: "OpenSSF model_signing", version: pythonPin(modelSigningLock, "model-signing"), sizeMiB: 150,
		file: "env/bin/model_signing",
	}, modelSigningLock)
}

func (k kitchen) openLineage() item {
	return k.upstream(item{
		name: itemOpenLineage, title: "OpenLineage's client", version: pythonPin(openLineageLock, "openlineage-python"), sizeMiB: 50,
		file: "env/bin/python",
	}, openLineageLock)
}

// upstream completes an item that is a Python environment of locked packages.
func (k kitchen) upstream(it item, lock string) item {
	it.needs = []string{itemUV}
	it.entry = entryName(it.name, it.version, append(k.environment(), lock)...)
	it.build = func(ctx context.Context, dir string) error {
		env := filepath.Join(dir, "env")
		if err := k.uv(ctx, "venv", "--quiet", "--relocatable", "--python", k.python.path, env); err != nil {
			return err
		}
		return k.installLocked(ctx, dir, lock, "--python", filepath.Join(env, "bin", "python"), "--compile-bytecode")
	}
	return it
}
