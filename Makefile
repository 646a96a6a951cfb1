# Every target is one line of `make help`. Building and testing need Go and make;
# as root, `make test` also installs the servers and tools that the tests use.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
PREFIX   ?= /usr/local
ROOT     := $(shell [ "$$(id -u)" = 0 ] && echo yes)
SUDO     := $(if $(ROOT),,sudo)

.PHONY: help build run install test test-unit test-kernel test-kernels test-faults bench bench-program bench-push generate generate-check lint fmt clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## the program, at bin/vitals: one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/vitals .

run: build ## build and start the dashboard (asks for sudo when not root)
	$(SUDO) ./bin/vitals

install: build ## copy the program to PREFIX/bin (/usr/local)
	install -D -m 0755 bin/vitals $(DESTDIR)$(PREFIX)/bin/vitals

test: ## all tests: without root the unit tests, as root the kernel and server tests too
	@.ci/needs
	@$(MAKE) --no-print-directory test-unit
ifeq ($(ROOT),yes)
	@$(MAKE) --no-print-directory generate-check
endif

test-unit: ## every Go test that this user can run, no installing
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-clean:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	@# the race detector needs a C compiler; without one the tests run all the same
	$(GO) test -p 1 -count=1 -timeout 20m $(if $(shell command -v gcc),-race) ./...

test-kernel: ## only what needs root: probes on this kernel, and the program end to end
	$(GO) test -p 1 -count=1 -timeout 20m ./probes/... .

test-kernels: ## older kernels under qemu, in software: the requests probe and the whole program on 5.10, 6.1 and 6.12
	@GO='$(GO)' .ci/kernels

test-faults: ## known faults, put back one at a time: the test that each one names must fail
	@GO='$(GO)' .ci/faults

bench: ## the figures of docs/performance.md
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-program: ## whole-program figures as root: first frame, exec to screen, idle cost, server CPU per request
	$(GO) test -run '^$$' -bench 'FirstFrame|ExecToScreen|Idle' -benchtime 1x -timeout 30m .

bench-overhead: ## as root: what being observed costs nginx, Redis and nginx with TLS, off and on by turns; 100,000 exchanges a second, all counted
	$(GO) test -run '^$$' -bench 'Overhead|ExchangesPerSecond' -benchtime 1x -timeout 30m .
	$(GO) test -run '^$$' -bench NginxCPU -benchtime 5x ./probes/requests

bench-push: ## our pusher beside client_golang's, our gateway beside Debian's, in one run; fails over a target
	$(GO) test -run TestSideBySide -count=1 -v -timeout 30m ./push/gateway -args -side-by-side

generate: ## regenerate the BPF objects (needs clang-14)
	$(GO) generate ./probes/...

generate-check: generate ## fail when regenerating changes a committed file
	@git diff --exit-code --stat -- probes || { echo "generated files are stale: run make generate and commit"; exit 1; }

lint: ## golangci-lint with the few linters of .golangci.yml
	golangci-lint run

fmt: ## gofmt
	gofmt -w $$(git ls-files '*.go')

clean: ## remove what was built
	rm -rf bin
