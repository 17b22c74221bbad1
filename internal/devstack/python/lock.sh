#!/bin/sh
# Renews the lock files from the .in files: every package pinned, every file
# of it hashed, good for Python 3.11 and later on Linux x86_64 and aarch64.
# Run it with uv on PATH; review the difference before committing it.
set -eu
cd "$(dirname "$0")"

lock() {
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --upgrade "$@"
}

for name in uv temporal onnxruntime; do
	lock --no-deps "$name.in" -o "$name.lock"
done

# The full mlflow package drags in what a tracking server never imports, so
# it is pinned without its dependencies on top of the minimal set.
lock mlflow.in -o mlflow.lock
lock --no-deps mlflow-server.in -o mlflow-server.lock
cat mlflow-server.lock >>mlflow.lock
rm mlflow-server.lock

# For tests only. model-signing does not name pyopenssl, and does not start
# without it.
lock model-signing.in -o model-signing.lock
lock openlineage.in -o openlineage.lock
