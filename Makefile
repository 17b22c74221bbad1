# Two commands do everything: `make demo` and `make test`. What they need is
# installed into the user's cache, keyed by version; see `mainspring doctor`.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(MAINSPRING_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mainspring)
TOOLS := $(CACHE)/tools/$(shell cat tools/go.sum tools/lint/go.sum tools/go.mod tools/lint/go.mod 2>/dev/null | sha256sum | cut -c1-16)
GO    := go
JOBS  := 2
export GOFLAGS ?= -buildvcs=false
# go-nvml marks functions of old drivers as deprecated, once per call.
export CGO_CFLAGS ?= -O2 -g -Wno-deprecated-declarations

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# cgo needs a C compiler before any of our own messages can be printed.
.PHONY: compiler
compiler:
	@command -v $${CC:-gcc} >/dev/null || { echo "gcc is missing: the serving runtime and NVML are linked through cgo. Install it, e.g. apt install gcc" >&2; exit 1; }

.PHONY: demo
demo: compiler ## A year of a model's life on real data, with everything real (ARGS=--exit ends it by itself)
	@$(GO) run -p $(JOBS) ./cmd/mainspring demo $(ARGS)

.PHONY: dev
dev: compiler ## The same stack, empty, for your own models
	@$(GO) run -p $(JOBS) ./cmd/mainspring dev $(ARGS)

.PHONY: build
build: ## Build bin/mainspring
	$(GO) build -p $(JOBS) -o bin/mainspring ./cmd/mainspring

.PHONY: check
check: fmt-check lint boundaries workflowcheck replay simulate ## Format, lint, import directions, determinism, replay of recorded histories, simulation

.PHONY: fmt-check
fmt-check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "run gofmt -w on: $$out" >&2; exit 1; }
	@echo "gofmt: ok"

.PHONY: lint
lint: $(TOOLS)/golangci-lint
	@$(TOOLS)/golangci-lint run --concurrency $(JOBS) ./...

.PHONY: boundaries
boundaries: ## Prove the import directions of docs/architecture.md
	@$(GO) run ./testenv/boundaries

.PHONY: workflowcheck
workflowcheck: $(TOOLS)/workflowcheck
	@$(TOOLS)/workflowcheck -config .workflowcheck.yaml ./workflows/... && echo "workflowcheck: ok"

.PHONY: replay
replay: ## Replay the recorded histories against the present code
	@$(GO) test -p $(JOBS) -count=1 -run 'TestReplay' ./workflows/

# Without the race detector, which finds nothing in one goroutine and makes a
# world ten times slower.
.PHONY: simulate
simulate: ## Live through thousands of seeds of pool, agents and network (MAINSPRING_SIMULATIONS)
	@$(GO) test -p $(JOBS) -count=1 ./internal/placement/simulation

.PHONY: test
test: compiler $(TOOLS)/gotestsum ## Every test, against a real Temporal, S3 and MLflow
	@$(GO) run -p $(JOBS) ./testenv/withstack -- \
		$(TOOLS)/gotestsum --format pkgname --format-hide-empty-pkg -- -p $(JOBS) -race -timeout 30m $(ARGS) ./...

.PHONY: test-fast
test-fast: ## Unit and workflow tests only, no servers
	@$(GO) test -p $(JOBS) -race -short $(ARGS) ./...

.PHONY: bench
bench: ## Benchmarks of the hot paths
	@$(GO) test -run '^$$' -bench . -benchmem ./internal/...
	@echo "whole benches: go run ./bench/{placement,queueing,pool,reliability,evaluate,registry,canary,gateway,serve,rollout,drift,monitor} -h"

$(TOOLS)/golangci-lint:
	@echo "building golangci-lint (two minutes, once per version)"
	@mkdir -p $(TOOLS) && $(GO) build -C tools/lint -p $(JOBS) -ldflags="-s -w" -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(TOOLS)/gotestsum:
	@mkdir -p $(TOOLS) && $(GO) build -C tools -p $(JOBS) -ldflags="-s -w" -o $@ gotest.tools/gotestsum

$(TOOLS)/workflowcheck:
	@mkdir -p $(TOOLS) && $(GO) build -C tools -p $(JOBS) -ldflags="-s -w" -o $@ go.temporal.io/sdk/contrib/tools/workflowcheck

.PHONY: clean
clean: ## Remove what the demo and dev stacks left in this checkout
	rm -rf .mainspring bin
