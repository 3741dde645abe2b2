# Sidelight. `make` lists the targets; `make demo` and `make test` need nothing
# but Go, Node, npm, git and make: what else they use they install themselves.

export GOTOOLCHAIN := auto
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOLS   := $(CURDIR)/bin/tools

.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## build, then run the online cinema and say the URL to open
	bin/sidelight demo

build: ui ## build bin/sidelight (UI inside) and bin/sidelight-proxy
	CGO_ENABLED=0 $(GO) build -trimpath -tags grpcnotrace -ldflags '$(LDFLAGS)' -o bin/ ./cmd/sidelight ./cmd/sidelight-proxy

ui: node_modules/.package-lock.json ## build the UI that is embedded
	npm run --silent build -w frontend

node_modules/.package-lock.json: package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

test: tools build test-go test-ui test-e2e test-browser ## run all tests: Go with -race, UI, end to end, browser

test-go: ## Go tests, with the race detector
	$(GO) test -race $$($(GO) list ./... | grep -v /deploy/e2e)

test-ui: node_modules/.package-lock.json ## frontend unit tests
	npm run --silent typecheck -w frontend
	npm run --silent test -w frontend

test-e2e: ## end to end: the demo's real processes, by HTTP and by command line
	SIDELIGHT_BIN=$(CURDIR)/bin $(GO) test -count=1 -timeout 10m ./deploy/e2e

scenarios: build ## play the five scenarios on real processes, one line each
	cd deploy/scenarios && SIDELIGHT_BIN=$(CURDIR)/bin $(GO) test -count=1 -timeout 10m

test-browser: tools ## four journeys through the real product in Chromium
	SIDELIGHT_BIN=$(CURDIR)/bin npm run --silent e2e -w frontend

tools:
	@deploy/install-for-tests

check: lint generated ## what CI holds besides the tests: format, lint, generated files

lint: $(TOOLS)/golangci-lint node_modules/.package-lock.json ## format and lint, Go and TypeScript
	$(TOOLS)/golangci-lint run
	npm run --silent lint -w frontend

GOLANGCI_VERSION := v2.15.0
$(TOOLS)/golangci-lint: Makefile
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@touch $@

generated: ## generated files are up to date
	$(GO) mod tidy -diff

proto: ## regenerate mesh/meshv1 (needs protoc)
	GOBIN=$(TOOLS) $(GO) install google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
	cd mesh/meshv1 && PATH=$(TOOLS):$$PATH protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative mesh.proto

bench-footprint: build ## size of the binaries, memory of server and sidecars in the demo
	deploy/bench-footprint

clean: ## remove what was built
	rm -rf bin frontend/dist/* node_modules frontend/node_modules

.PHONY: help demo build ui test test-go test-ui test-e2e scenarios test-browser tools check lint generated proto bench-footprint clean
