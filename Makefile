# make demo    fine-tune on the bundled sample and segment it
# make napari  opens napari with the widget
# make test    the test suite, under 15 minutes on two cores from nothing
# make check   what takes longer: sanitizers, fuzzers, kills, the wheel in a bare root
# make display the widget's tests, in a real napari under a virtual display
# make bench   times, ours and those of other engines, into docs/performance.md
# make lint    formatting, types, style
# make wheel   dist/*.whl, and its libraries in build/native/
# make dev     everything for working on the sources, into .venv
# make sanitize | fuzz | clean
#
# demo, test and the others install what is missing: system packages with apt-get when root or with
# sudo, the rest into .venv.  Settings: PYTHON, CC, CEM_ONEDNN_ROOT, FUZZ_SECONDS.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
CC := gcc
CLANG ?= clang-14
FUZZ_SECONDS ?= 60
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint tests/constraints.txt

.PHONY: help demo napari test check display bench lint sanitize fuzz wheel dev clean build c-tests
help:
	@sed -n '/^# make/s/^# //p' Makefile

# ---- What must be there first ----

APT := build-essential pkg-config libtiff-dev libjansson-dev python3-dev python3-venv
APT_FIJI := default-jdk maven xvfb xauth
APT_CHECK := clang-14 libclang-rt-14-dev llvm-14
APT_DISPLAY := xvfb xauth libegl1 libgl1 libgl1-mesa-dri libglx-mesa0 libdbus-1-3 libfontconfig1 \
  fonts-dejavu-core libxcb-cursor0 libxkbcommon-x11-0 libxcb-icccm4 libxcb-image0 \
  libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xinput0

# $(call missing,test,packages): if the shell line `test` fails, installs the Debian packages.
define missing
	@if ! { $(1); } >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ]; then become=; else become="sudo -n"; fi; \
	  if $$become true 2>/dev/null; then \
	    echo "installing $(2)"; \
	    $$become apt-get -qq update && \
	    $$become env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
	      $(2) >build/apt.log 2>&1 || { tail -5 build/apt.log; exit 1; }; \
	  else \
	    echo "type this first: sudo apt-get install $(2)"; exit 1; \
	  fi; fi
endef

HAS_PYTHON := $(PYTHON) -c 'import ensurepip, venv, os, sysconfig; \
  os.stat(sysconfig.get_paths()["include"] + "/Python.h")'
NEW_PYTHON := $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'

build/system: | build/
	$(call missing,$(CC) --version && pkg-config --exists libtiff-4 jansson && $(HAS_PYTHON),$(APT))
	@$(NEW_PYTHON) || { echo "$(PYTHON) is older than 3.11; install a newer one and type: \
	make PYTHON=python3.11"; exit 1; }
	@touch $@

build/system-fiji: | build/
	$(call missing,javac -version && mvn -version && command -v xvfb-run && command -v xauth,$(APT_FIJI))
	@touch $@

build/system-check: | build/
	$(call missing,$(CLANG) --version && \
	  ls /usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a,$(APT_CHECK))
	@touch $@

build/system-display: | build/
	$(call missing,dpkg -s $(APT_DISPLAY),$(APT_DISPLAY))
	@touch $@

build/:
	@mkdir -p $@

# ---- The virtual environment ----

# Stamps: the build requirements; then the package alone, or with what its tests, benchmarks or
# development need.
$(VENV)/build: pyproject.toml tests/constraints.txt build/system
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb")) \
	  ["build-system"]["requires"], sep="\n")' > build/requires.txt
	@$(PIP) --requirement build/requires.txt
	@touch $@

$(VENV)/run: EXTRA :=
$(VENV)/napari: EXTRA := [napari]
$(VENV)/test: EXTRA := [test]
$(VENV)/bench: EXTRA := [bench]
$(VENV)/dev: EXTRA := [dev]
$(VENV)/run $(VENV)/napari $(VENV)/test $(VENV)/bench $(VENV)/dev: $(VENV)/build setup.py
	@$(PIP) --no-build-isolation --editable '.$(EXTRA)'
	@touch $@

# Compiles what changed since.
build:
	@$(BIN)/python setup.py --quiet build_ext --inplace

# ---- What users and CI call ----

demo: $(VENV)/run
	@$(MAKE) --no-print-directory build
	@$(BIN)/napari-cem demo --overwrite

napari: $(VENV)/napari
	@$(MAKE) --no-print-directory build
	@$(BIN)/napari -w napari-cem "CEM Segment"

test: export CEM_WERROR = 1
test: $(VENV)/test build/system-fiji
	@$(MAKE) --no-print-directory build
	$(BIN)/pytest

check: export CEM_WERROR = 1
check: $(VENV)/dev build/system-check
	@$(MAKE) --no-print-directory build
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory sanitize
	$(MAKE) --no-print-directory fuzz
	$(BIN)/pytest -m long
	$(MAKE) --no-print-directory display

# napari's plugins of pytest and their warnings are of these tests alone.  WIDGET_TESTS chooses.
IN_DISPLAY := LIBGL_ALWAYS_SOFTWARE=1 xvfb-run -a -s "-screen 0 1500x1000x24" $(BIN)/pytest \
  -o addopts="--import-mode=importlib --strict-markers" -W default --disable-warnings -m display
WIDGET_TESTS ?=
display: $(VENV)/dev build/system-display
	@$(MAKE) --no-print-directory build
	$(IN_DISPLAY) $(WIDGET_TESTS)
	QT_API=pyqt6 PYTEST_QT_API=pyqt6 $(IN_DISPLAY) tests/test_session.py tests/test_widget.py \
	  -k "ten_clicks or undoing or tour"

bench: $(VENV)/bench build/system-display build/system-fiji
	@$(MAKE) --no-print-directory build
	$(BIN)/python tests/benchmarks/engine.py --write docs/performance.md
	@for script in $(filter-out %/engine.py,$(wildcard tests/benchmarks/*.py)); do \
	  echo "== $$script"; $(BIN)/python $$script || exit 1; done

C_FILES = $(shell git ls-files '*.c' '*.h')
lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)
	$(BIN)/mypy

wheel: $(VENV)/dev
	$(BIN)/python .ci/wheel.py

dev: $(VENV)/dev

clean:
	rm -rf build dist demo $(VENV) *.egg-info napari_cem/_native napari_cem/*.so \
	  .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# ---- The C tests: every tests/c/*.c is a program over all of csrc/, internals included ----

ONEDNN := $(or $(CEM_ONEDNN_ROOT),$(VENV))
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion
C_FLAGS = -std=c11 -D_GNU_SOURCE -g -ffp-contract=off -fno-math-errno -pthread $(WARN) \
  $(if $(CEM_WERROR),-Werror) -Icsrc -isystem $(ONEDNN)/include -DCEM_VERSION='"$(VERSION)"' \
  $(shell pkg-config --cflags libtiff-4 jansson) -MMD -MP
C_LIBS = $(ONEDNN)/lib/libdnnl.so.3 -Wl,-rpath,$(abspath $(ONEDNN)/lib) \
  $(shell pkg-config --libs libtiff-4 jansson) -lgomp -lm -pthread

FLAGS_plain := -O2
FLAGS_asan := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
FLAGS_tsan := -O2 -fsanitize=thread
FLAGS_fuzz := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
  -fno-sanitize-recover=undefined
CC_plain := $(CC)
CC_asan := $(CC)
CC_tsan := $(CC)
CC_fuzz := $(CLANG)

DRIVER := tests/fuzz/standalone_driver
DRIVER_plain := build/plain/$(DRIVER).o
DRIVER_asan := build/asan/$(DRIVER).o
DRIVER_fuzz := -fsanitize=fuzzer

SOURCES := $(wildcard csrc/*.c csrc/kernels/*.c)
PROGRAMS := $(patsubst tests/c/%.c,%,$(wildcard tests/c/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*_fuzzer.c))

define variant
build/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	@$(CC_$(1)) $$(C_FLAGS) $(FLAGS_$(1)) -c $$< -o $$@
build/$(1)/%: build/$(1)/tests/c/%.o $(SOURCES:%.c=build/$(1)/%.o)
	@$(CC_$(1)) $(FLAGS_$(1)) $$^ $$(C_LIBS) -o $$@
build/$(1)/%_fuzzer: build/$(1)/tests/fuzz/%_fuzzer.o $(SOURCES:%.c=build/$(1)/%.o) \
  $(filter %.o,$(DRIVER_$(1)))
	@$(CC_$(1)) $(FLAGS_$(1)) $$^ $(filter -%,$(DRIVER_$(1))) $$(C_LIBS) -o $$@
-include $(patsubst %.c,build/$(1)/%.d,$(SOURCES) $(wildcard tests/c/*.c tests/fuzz/*.c))
endef
$(foreach name,plain asan tsan fuzz,$(eval $(call variant,$(name))))
.SECONDARY:

# What tests/test_c.py runs.
c-tests: $(PROGRAMS:%=build/plain/%) $(FUZZERS:%=build/plain/%)

RUN_asan := ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 \
  LSAN_OPTIONS=suppressions=tests/c/lsan.supp:print_suppressions=0
RUN_tsan := TSAN_OPTIONS=suppressions=tests/c/tsan.supp:halt_on_error=1:die_after_fork=0
# The programs that use threads.
THREADED := $(filter test_curate test_kernels test_pool test_predict test_trainer,$(PROGRAMS))
sanitize: $(VENV)/build
	@$(MAKE) --no-print-directory -j2 $(PROGRAMS:%=build/asan/%) $(FUZZERS:%=build/asan/%) \
	  $(THREADED:%=build/tsan/%)
	@for program in $(filter test_%,$(PROGRAMS)); do \
	  echo "asan $$program"; $(RUN_asan) build/asan/$$program || exit 1; done
	@for program in $(THREADED); do \
	  echo "tsan $$program"; $(RUN_tsan) build/tsan/$$program || exit 1; done
	@for name in $(FUZZERS:_fuzzer=); do \
	  echo "asan $$name corpus"; \
	  $(RUN_asan) build/asan/$${name}_fuzzer tests/fuzz/corpus/$$name || exit 1; done

fuzz: $(VENV)/test build/system-check
	@$(MAKE) --no-print-directory -j2 $(FUZZERS:%=build/fuzz/%)
	@for name in $(FUZZERS:_fuzzer=); do \
	  echo "fuzzing $$name for $(FUZZ_SECONDS) s"; mkdir -p build/corpus/$$name; \
	  build/fuzz/$${name}_fuzzer -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=4096 \
	    -dict=tests/fuzz/json.dict -artifact_prefix=build/ -verbosity=0 -print_final_stats=1 \
	    build/corpus/$$name tests/fuzz/corpus/$$name || exit 1; done
	@echo "fuzzing checkpoint for $(FUZZ_SECONDS) s"
	@$(BIN)/python tests/fuzz/fuzz_checkpoint.py --seconds $(FUZZ_SECONDS)
	@echo "fuzzing the formats of volumes for $(FUZZ_SECONDS) s"
	@$(BIN)/python tests/fuzz/fuzz_volume_formats.py --seconds $(FUZZ_SECONDS)
