#!/usr/bin/env bash
# Writes inference.pb.go and inference_grpc.pb.go from inference.proto, with
# pinned tools in a directory that is thrown away.
set -euo pipefail
cd "$(dirname "$0")"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet grpcio-tools==1.76.0
GOBIN=$tools GOFLAGS='' go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$tools GOFLAGS='' go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
# The path is part of the generated descriptor: it must not depend on where the
# script runs.
PATH=$tools:$PATH "$tools/venv/bin/python" -m grpc_tools.protoc -I .. \
	--go_out=.. --go_opt=paths=source_relative \
	--go-grpc_out=.. --go-grpc_opt=paths=source_relative \
	../grpcv2/inference.proto
