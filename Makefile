# Sidelight. `make` lists the targets; `make demo` and `make test` need nothing
# but Go, Node, npm, git and make: what else they use they install themselves.

export GOTOOLCHAIN := auto
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Without symbols; functions aligned to 16 bytes instead of 32 are 1 % of the file less.
LDFLAGS := -s -w -funcalign=16 -X main.version=$(VERSION)
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

test: tools build test-go test-ui test-e2e scenarios test-browser ## run all tests: Go with -race, UI, end to end, browser

test-go: ## Go tests, with the race detector
	$(GO) test -race $$($(GO) list ./... | grep -vE '/deploy/(e2e|scenarios)$$')

test-ui: node_modules/.package-lock.json ## frontend unit tests
	npm run --silent typecheck -w frontend
	npm run --silent test -w frontend

test-e2e: ## end to end: the demo's real processes, by HTTP and by command line
	SIDELIGHT_BIN=$(CURDIR)/bin $(GO) test -count=1 -timeout 12m -parallel 3 ./deploy/e2e

scenarios: build ## play the five scenarios on real processes, one line each
	cd deploy/scenarios && SIDELIGHT_BIN=$(CURDIR)/bin $(GO) test -count=1 -timeout 10m

test-browser: tools ## journeys through the real product in Chromium
	SIDELIGHT_BIN=$(CURDIR)/bin npm run --silent e2e -w frontend

tools: $(TOOLS)/kube-apiserver
	@deploy/install-for-tests

# Kubernetes' API server, to test against: not optimised, which takes a third less to build.
APISERVER := server/config/kubernetes/kubernetestest/apiserver
$(TOOLS)/kube-apiserver: $(APISERVER)/go.mod
	cd $(APISERVER) && CGO_ENABLED=0 $(GO) build -trimpath -gcflags 'all=-N -l' -ldflags '-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3' -o $@ k8s.io/kubernetes/cmd/kube-apiserver
	@touch $@

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
	$(GO) run ./dashboards/generate -check

dashboards: ## regenerate the Grafana dashboards and Prometheus rules in dashboards
	$(GO) run ./dashboards/generate

proto: ## regenerate mesh/meshv1 and Jaeger's api_v3 (needs protoc)
	GOBIN=$(TOOLS) $(GO) install google.golang.org/protobuf/cmd/protoc-gen-go
	GOBIN=$(TOOLS) $(GO) install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
	for f in mesh/meshv1/mesh collector/jaeger/apiv3/query server/config/gatewayapi/gateway server/config/smi/smi; do (cd $$(dirname $$f) && \
	  PATH=$(TOOLS):$$PATH protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative $$(basename $$f).proto) || exit 1; done

bench-compile: ## compiling 10,000 services from cold and after one change, with goals
	$(GO) test -run '^$$' -bench '^BenchmarkCompile$$' -benchtime 1x -timeout 8m ./server/xds

bench-dashboards: build ## the panels' queries on the demo and on 20,000 workloads, with goals
	@SIDELIGHT_BENCH=1 SIDELIGHT_BIN=$(CURDIR)/bin $(GO) test -count=1 -v -run TestBenchDashboards ./deploy/e2e | grep -E '^(\||goal|Mesh|[0-9]+ quer|$$|FAIL|---)'
	@SIDELIGHT_BENCH=1 $(GO) test -count=1 -v -run TestBench ./dashboards/generate | grep -E '^(\||goal|Mesh|$$|FAIL|---)'
	SIDELIGHT_BIN=$(CURDIR)/bin node frontend/e2e/bench-panels.mjs

bench-footprint: build ## size of the binaries, memory of server and sidecars in the demo
	deploy/bench-footprint

bench-graph: ## reading the graph of synthetic fleets through the API, with goals
	$(GO) test -run '^$$' -bench '^BenchmarkGraph$$' -benchtime 1x -timeout 8m ./server/app
	$(GO) test -run '^$$' -bench '^BenchmarkDelta$$' -benchtime 20x ./server/graph

bench-ingest: build tools ## taking samples beside Prometheus on the same targets, and 10,000 sidecars, with goals
	@SIDELIGHT_BIN=$(CURDIR)/bin $(GO) test -run '^$$' -bench '^BenchmarkIngest$$' -benchtime 1x -timeout 8m ./deploy/benchingest

bench-proxy: build ## the sidecar's cost per request, beside HAProxy, nginx and ReverseProxy
	deploy/bench-proxy

bench-ui: tools ui ## what the interface costs in Chromium, beside cytoscape and PatternFly topology
	npm ci --prefix frontend/bench --no-audit --no-fund --loglevel=error
	cd frontend && npx vite build -c bench/vite.config.ts --logLevel error && node bench/run.mjs

bench-ui-memory: tools build ## whether open pages grow in ten minutes, with goals
	SIDELIGHT_BIN=$(CURDIR)/bin node frontend/bench/memory.mjs

bench-trace-ui: tools ui ## what a trace of 80,000 spans costs in Chromium, with goals
	cd frontend && node bench/trace.mjs

bench-spans: ## what spans cost to store and to read, and what kill -9 loses, with goals
	$(GO) test -run '^$$' -bench '^BenchmarkSpans$$' -benchtime 1x -timeout 8m ./collector/store/traces

$(TOOLS)/jaeger: collector/store/traces/bench/jaeger/go.mod
	cd $(<D) && $(GO) build -trimpath -ldflags '-s -w' -o $@ github.com/jaegertracing/jaeger/cmd/all-in-one

bench-xds: ## a change for 5,000 connected nodes, beside go-control-plane's snapshot cache, with goals
	$(GO) test -run '^$$' -bench '^BenchmarkFleet$$' -benchtime 1x -timeout 8m ./server/xds

bench-tap: ## a fleet tapped at 10,000 requests a second, and what the hub carries, with goals
	$(GO) test -run '^$$' -bench '^BenchmarkTap$$' -benchtime 1x -timeout 8m ./deploy/benchtap

clean: ## remove what was built
	rm -rf bin frontend/dist/* node_modules frontend/node_modules frontend/bench/node_modules frontend/bench/dist

.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*/\1/p' $(MAKEFILE_LIST))
