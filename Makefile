# Linekeeper. Everything here works on a bare Debian 12 with nothing but Go and
# root (or sudo). Files under .ci hold what is longer than a line.
SHELL         := bash
.SHELLFLAGS   := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS     += --no-print-directory

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   := -s -w -X main.version=$(VERSION)
FUZZTIME  ?= 60s
FOR       ?= 30m
PROGRAMS  := $(addprefix ./,$(wildcard cmd/linekeeper*))
TOOLS     := $(CURDIR)/.cache/tools
# The namespaces of the lab need root; a person with sudo need not be it.
AS_ROOT   := $(if $(filter 0,$(shell id -u)),env,sudo -E env PATH=$$PATH)
# The lab runs on its own, after everything that needs no root.
UNIT       = $$(go list ./... | grep -v -e '/appliance/e2e$$' -e '/appliance/law$$')

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-7s %s\n", $$1, $$2}'

.PHONY: build
build: ## bin/linekeeper, static, with its version stamped in
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ $(PROGRAMS)

.PHONY: demo
demo: build ## a day at a site on loopback: needs nothing but Go, no root
	bin/linekeeper demo

# What is still missing after setup is a failure there, no skip.
.PHONY: test
test: export LINEKEEPER_MUST := lab
test: setup check e2e ## everything: installs what it needs, then check, then the lab

.PHONY: check
check: fmt vet lint law unit ## gofmt, go vet, linters, the law of the house, unit tests with the race detector

.PHONY: lab
lab: setup e2e ## only the lab: the daemon among SIPp, baresip and Kamailio in network namespaces

.PHONY: setup
setup: ## Debian packages that the tests need, each with its reason (quick when all are there)
	@.ci/setup

.PHONY: fmt
fmt: ## gofmt finds nothing to do
	@found=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$found" ]; then echo "gofmt -w is due on:"; echo "$$found"; exit 1; fi

.PHONY: vet
vet: ## go vet
	go vet -tags soak ./...

.PHONY: lint
lint: $(TOOLS)/staticcheck $(TOOLS)/housevet ## staticcheck; exhaustive, errorlint and sloglint as a vet tool
	@found=0; $(TOOLS)/staticcheck -tags soak ./... || found=1; \
	go vet -tags soak -vettool=$(TOOLS)/housevet ./... || found=1; exit $$found

$(TOOLS)/staticcheck: .ci/tools/go.mod .ci/tools/go.sum
	go build -C .ci/tools -o $@ honnef.co/go/tools/cmd/staticcheck

$(TOOLS)/housevet: .ci/tools/go.mod .ci/tools/go.sum .ci/tools/housevet/main.go
	go build -C .ci/tools -o $@ ./housevet

# -count=1: the test cache does not see what the law reads.
.PHONY: law
law: ## the rules of the house that a machine can check
	go test -race -count=1 ./appliance/law

.PHONY: unit
unit: ## unit tests, race detector on
	go test -race -p 2 -timeout 15m $(UNIT)

.PHONY: e2e
e2e:
	go build -race -o bin/race/ ./cmd/linekeeper
	LINEKEEPER_BIN=$(CURDIR)/bin/race/linekeeper \
		go test -race -count=1 -parallel 8 -timeout 25m -exec "$(AS_ROOT)" ./appliance/e2e

# The daemon as it is shipped: the race detector's shadow memory would hide what leaks.
.PHONY: soak
soak: setup build ## mixed SIPp traffic for FOR (30m): nothing may be left behind, figures every minute
	LINEKEEPER_BIN=$(CURDIR)/bin/linekeeper go test -count=1 -v -tags soak -timeout 24h -exec "$(AS_ROOT)" \
		-run '^TestSoak' ./appliance/e2e -soak $(FOR)

.PHONY: fuzz
fuzz: ## every fuzz target, FUZZTIME each (60s)
	@.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: setup ## registrations, calls, relayed packets: how many, at what cost
	go run ./appliance/bench

.PHONY: bench-calls
bench-calls: setup ## what a call costs, next to Kamailio by the same load: CPU, calls/s, overload, memory
	go run ./appliance/bench -suite calls

.PHONY: bench-media
bench-media: setup ## what a relayed packet costs, next to rtpengine by the same load: CPU, latency, loss, memory
	go run ./appliance/bench -suite media

.PHONY: golden
golden: ## rewrite the golden files; a person reads the diff
	go test -count=1 $$(grep -rl --include='*_test.go' '"update"' appliance sbc survivability | xargs -n1 dirname | sort -u | sed 's|^|./|') -update

.PHONY: clean
clean: ## what make made
	rm -rf bin .cache
