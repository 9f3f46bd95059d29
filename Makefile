# SPDX-License-Identifier: MIT
# One target a job; `make help` lists them. `make demo` and `make test` set up all they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LINT_STAMP := $(VENV)/.installed-lint

CROSS_COMPILE ?=
TARGET := $(if $(CROSS_COMPILE),$(patsubst %-,%,$(notdir $(CROSS_COMPILE))),native)
BUILD := build/$(TARGET)
ifeq ($(CROSS_COMPILE),)
CC ?= cc
else
CC := $(CROSS_COMPILE)gcc
endif
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Werror
ALL_CFLAGS := -std=gnu11 -fPIC -fvisibility=hidden -pthread -Iinclude $(WARNINGS) $(CFLAGS)

CORE := $(wildcard csrc/ioctl/*.c csrc/vm/*.c csrc/reg/*.c csrc/timer/*.c csrc/vgic/*.c csrc/switch/*.c csrc/machine/*.c)
PRELOAD := $(wildcard csrc/preload/*.c)
HEADERS := $(wildcard include/*.h include/kvmemu/*.h include/kvmemu/*/*.h csrc/*/*.h)
CORE_OBJS := $(CORE:%.c=$(BUILD)/%.o)
PRELOAD_OBJS := $(PRELOAD:%.c=$(BUILD)/%.o)

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: demo
demo: $(STAMP) ## restore a recorded VM, let time pass, save it, compare
	$(BIN)/kvmemu demo

.PHONY: test
test: $(STAMP) ## the tests that need nothing but Python and a C compiler
	$(BIN)/python -m pytest

# Debian keeps these two apart from python3 itself.
CAN_BUILD := import ensurepip, os, sys, sysconfig; \
	sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))

.PHONY: python
python:
	@$(PYTHON) -c '$(CAN_BUILD)' 2>/dev/null || { \
		echo "$(PYTHON) lacks its headers or its venv module: Debian has them in python3-dev and python3-venv."; \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "Installing them." && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends python3-dev python3-venv >/dev/null; }

$(STAMP): pyproject.toml setup.py kvmemu/_ffi_build.py $(CORE) $(HEADERS) $(wildcard csrc/bench/*.c) | python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

.PHONY: lib
lib: $(BUILD)/libkvmemu.so ## build/native/libkvmemu.so; CROSS_COMPILE=aarch64-linux-gnu- for arm64

.PHONY: preload
preload: $(BUILD)/libkvmemu-preload.so ## the library for unmodified programs; CROSS_COMPILE as for lib

$(BUILD)/libkvmemu.so: $(CORE_OBJS)
	$(CC) -shared -pthread -o $@ $^

$(BUILD)/libkvmemu-preload.so: $(CORE_OBJS) $(PRELOAD_OBJS)
	$(CC) -shared -pthread -o $@ $^ -ldl

$(BUILD)/%.o: %.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

.PHONY: packages
packages: ## say which Debian packages conformance needs and lacks; INSTALL=1 installs them
	$(PYTHON) tests/packages.py $(if $(INSTALL),--install)

.PHONY: conformance
conformance: $(STAMP) packages preload ## against a real Linux, its selftests, the sanitizers, the fuzzer
	$(MAKE) preload CROSS_COMPILE=aarch64-linux-gnu-
	$(BIN)/python -m pytest -m conformance

.PHONY: lint
lint: $(LINT_STAMP) ## ruff, mypy, and the C warnings of gcc and clang
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) BUILD=build/lint-gcc CC=gcc lib preload
	if command -v clang >/dev/null; then $(MAKE) BUILD=build/lint-clang CC=clang lib preload; fi

$(LINT_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lint]'
	@touch $@

.PHONY: bench
bench: $(STAMP) ## pytest-benchmark suites; `kvmemu bench` prints ratios
	$(BIN)/python -m pytest benchmarks

.PHONY: oracle
oracle: $(STAMP) packages ## record all conformance answers from Linux again
	$(BIN)/python tests/oracle/record.py -o tests/conformance tests/conformance/scripts/*.trace

.PHONY: record-hosts record-state
record-hosts: $(STAMP) packages ## record the host profiles from Linux again
	cd tests && ../$(BIN)/python -m oracle.record_host
	$(MAKE) hosts
record-state: $(STAMP) packages ## record the VM that the demonstration restores
	cd tests && ../$(BIN)/python -m oracle.record_state

.PHONY: stubs
stubs: $(STAMP) ## make kvmemu/constants.pyi from the compiled core again
	$(BIN)/python -m kvmemu.make_stubs

.PHONY: hosts
hosts: ## make csrc/machine/builtin_hosts.c from the profiles again
	$(PYTHON) csrc/machine/make_builtin_hosts.py

.PHONY: clean
clean: ## remove what was built, but not the virtual environment
	rm -rf build dist *.egg-info kvmemu/_core.c kvmemu/_core*.so
