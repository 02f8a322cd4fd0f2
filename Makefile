SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
# Where the machine's Go is older, it fetches the one that go.mod names.
export GOTOOLCHAIN ?= auto
PACKAGES ?= ./...
FUZZTIME ?= 20s
BENCHTIME ?= 1s
ROUNDS ?= 3
# What the browser tests see, for a person to look at: index.html lists it.
SHOTS ?= $(CURDIR)/dist/screenshots
VERAPDF := $(CURDIR)/.tools/verapdf
PYHANKO := $(CURDIR)/.tools/pyhanko

.PHONY: help run build test quick lint bench interop torture fuzz package schema clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## install what is missing, build, and start everything locally
	@tools/setup run
	@$(MAKE) build
	@exec bin/devworld

build: ## build bin/belfry, bin/eid-agent and bin/devworld
	@mkdir -p bin
	$(GO) build -o bin/ ./cmd/belfry ./cmd/devworld
	$(GO) build -tags dev -o bin/ ./cmd/eid-agent

test: ## install what tests need and run every test; pages seen are in dist/screenshots
	@tools/setup test
	$(GO) vet ./...
	@rm -rf $(SHOTS) && mkdir -p $(SHOTS)
	BELFRY_SHOTS=$(SHOTS) $(GO) test -count=1 -timeout 25m $(PACKAGES)
	$(GO) test -count=1 -timeout 5m -tags dev ./cmd/eid-agent

quick: ## the tests that take less than a minute together
	$(GO) test -short -timeout 60s $(PACKAGES)

lint: ## gofmt, vet, staticcheck
	@unformatted=$$(gofmt -l cmd idp signing orders portal testcerts internal tools *.go); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w these:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck -tags dev ./...

bench: ## benchmarks, each beside the peer or the raw limit it is measured by
	@tools/setup test
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) -timeout 60m $(PACKAGES)
	@mkdir -p bin
	cd tools/bench && $(GO) build -o ../../bin/bench .
	@bin/bench -rounds $(ROUNDS)

interop: ## our documents and messages before programs that others wrote
	@tools/setup interop
	@if [ ! -e $(VERAPDF)/.complete ]; then \
	  echo "interop: fetching veraPDF from Maven Central"; \
	  mvn -q -B -f internal/verapdf/pom.xml dependency:copy-dependencies -DoutputDirectory=$(VERAPDF); \
	  touch $(VERAPDF)/.complete; \
	fi
	@if [ ! -e $(PYHANKO)/.complete ]; then \
	  echo "interop: fetching pyHanko from the Python package index"; \
	  python3 -m venv $(PYHANKO); \
	  $(PYHANKO)/bin/pip install -q -r signing/interop/requirements.txt; \
	  touch $(PYHANKO)/.complete; \
	fi
	BELFRY_VERAPDF=$(VERAPDF) BELFRY_INTEROP_PYTHON=$(PYHANKO)/bin/python $(GO) test -count=1 -timeout 15m -run Interop $(PACKAGES)

torture: ## every test under the race detector, those that break things at full length
	@tools/setup test
	BELFRY_TORTURE=1 $(GO) test -race -count=1 -timeout 60m $(PACKAGES)

fuzz: ## each fuzz target for FUZZTIME
	@for package in $$($(GO) list $(PACKAGES)); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

schema: ## write the database of a release that is being made: make schema RELEASE=0.1.0
	$(GO) test -count=1 -run TestOpensTheDataOfEveryRelease ./cmd/belfry -release $(RELEASE)

package: ## build a Debian package into dist/
	@tools/setup run
	@tools/package/build

trial: ## try the package on a clean Debian 12; as root, with debootstrap
	@tools/package/trial

clean: ## remove what was built; var/ with its local world stays
	rm -rf bin dist
