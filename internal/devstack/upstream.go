package devstack

import (
	"context"
	"path/filepath"
)

// Items that tests hold Mainspring against. No stack needs them, so Setup and
// Doctor do not know of them.
const (
	itemModelSigning = "model-signing"
	itemOpenLineage  = "openlineage"
)

// SetupModelSigning installs OpenSSF's model_signing and returns its program.
func SetupModelSigning(ctx context.Context, reporter Reporter) (string, error) {
	return setupUpstream(ctx, reporter, itemModelSigning, kitchen.modelSigning)
}

// SetupOpenLineage installs OpenLineage's own client and returns the Python
// that has it.
func SetupOpenLineage(ctx context.Context, reporter Reporter) (string, error) {
	return setupUpstream(ctx, reporter, itemOpenLineage, kitchen.openLineage)
}

func setupUpstream(ctx context.Context, reporter Reporter, name string, upstream func(kitchen) item) (string, error) {
	found, err := prepare(ctx, reporter, func(k kitchen) []item { return append(k.only(itemUV), upstream(k)) })
	return found[name].Path, err
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
