# Two commands: `make demo` runs the main job, `make test` passes the tests. Both set up what they need.

VENV   ?= .venv
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do command -v $$p >/dev/null 2>&1 && \
            $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' && echo $$p && break; done)
BIN     = $(VENV)/bin
PIP     = $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

# bfloat16 halves the time where the processor multiplies it, and is many times slower elsewhere.
PRECISION ?= $(shell grep -qw avx512_bf16 /proc/cpuinfo 2>/dev/null && echo bf16 || echo fp32)

.PHONY: help setup setup-dev system-libs demo test faults bench check weights weights-video weights-lean weights-judge weights-occupancy clean

help:
	@echo "make demo    set up, then generate the library scene crossing_pedestrian (30 s, six cameras) into out/demo"
	@echo "make test    set up, then run the tests"
	@echo "make faults  the fault battery, TIER=change, nightly or release; report in out/faults"
	@echo "make bench   every benchmark of speed with its bound, about ten minutes; writes out/bench.json and README's table"
	@echo "make check   lint, format, types, import rules"
	@echo "make weights retrain the default weights from nothing (video, judge, occupancy): about four hours on two cores"
	@echo "make clean   remove the environment and caches"

$(VENV)/created:
	@test -n "$(PYTHON)" || { echo "scenegen needs Python 3.11 or 3.12; install one or call: make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "could not create $(VENV); on Debian and Ubuntu install the package python3-venv"; exit 2; }
	@touch $@

# Stamps: an install is repeated only when what it depends on changed.
$(VENV)/installed-generate: $(VENV)/created pyproject.toml constraints.txt hatch_build.py
	@echo "installing scenegen for generation ..."
	@$(PIP) -e '.[generate]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/created pyproject.toml constraints.txt hatch_build.py
	@echo "installing scenegen with everything the tests use ..."
	@$(PIP) -e '.[all,dev]'
	@touch $@ $(VENV)/installed-generate

setup: $(VENV)/installed-generate

setup-dev: $(VENV)/installed-dev

# Open3D, an optional baseline, links these. Nothing on the demo's path needs them.
system-libs: $(VENV)/installed-dev
	@$(BIN)/python .ci/system_libs.py

demo: setup
	$(BIN)/scenegen generate video.model=student video.temperature=0.3 video.precision=$(PRECISION) output=out/demo

test: setup-dev system-libs
	$(BIN)/python -m pytest -n 2 --dist loadfile

TIER ?= change
faults: setup-dev
	SCENEGEN_FAULT_TIER=$(TIER) SCENEGEN_FAULT_REPORT=out/faults $(BIN)/python -m pytest -n 0 --timeout 0 tests/faults

bench: setup-dev
	$(BIN)/python -m benchmarks --json out/bench.json --readme README.md

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# From nothing, with fixed seeds. Stopped and called again, the trainings go on; delete out/weights to begin anew.
RECIPE = data=out/weights/excerpts windows=out/weights/windows run.num_threads=1 precision=$(PRECISION) progress=plain
weights: setup-dev
	$(MAKE) weights-occupancy
	test -f out/weights/excerpts/manifest.json || $(BIN)/python -m scenegen.training.excerpts \
	    --layouts procedural:1001-1300 --output out/weights/excerpts
	$(BIN)/python -m scenegen.training.window_cache --data out/weights/excerpts --output out/weights/windows
	$(MAKE) -j2 weights-video weights-judge
	cp out/weights/video/native.safetensors scenegen/weights/native_tiny.safetensors
	cp out/weights/judge/judge.safetensors scenegen/weights/judge.safetensors

weights-video:
	$(BIN)/scenegen train recipe=video $(RECIPE) output=out/weights/video

PLACES = procedural:dense_city/1-80 procedural:suburb/1-80 procedural:rural/1-80 procedural:highway/1-80 \
         procedural:industrial/1-80 procedural:1-60
JOINED = $(shell echo $(PLACES) | tr ' ' '+')
WORLDS = data=$(JOINED) windows=out/weights/worlds run.num_threads=1 precision=$(PRECISION) progress=plain
# The tokenizer must be in place before the network that speaks its codes.
weights-occupancy:
	test -f out/weights/worlds/index.json || $(BIN)/python -m scenegen.training.world_cache \
	    --layouts $(PLACES) --output out/weights/worlds
	$(BIN)/scenegen train recipe=occupancy_tokenizer $(WORLDS) output=out/weights/tokenizer
	cp out/weights/tokenizer/occupancy_tokenizer.safetensors scenegen/weights/
	$(BIN)/scenegen train recipe=occupancy $(WORLDS) output=out/weights/occupancy
	cp out/weights/occupancy/occupancy_masked.safetensors scenegen/weights/

# On fewer layouts than the others: it is what made the shipped file.
weights-lean: setup-dev
	test -f out/weights/excerpts-lean/manifest.json || $(BIN)/python -m scenegen.training.excerpts \
	    --layouts procedural:1001-1160 --output out/weights/excerpts-lean
	$(BIN)/scenegen train recipe=video size=lean data=out/weights/excerpts-lean windows=out/weights/windows-lean \
	    run.num_threads=1 precision=$(PRECISION) progress=plain output=out/weights/lean
	cp out/weights/lean/native.safetensors scenegen/weights/native_lean.safetensors

weights-judge:
	$(BIN)/scenegen train recipe=judge $(RECIPE) output=out/weights/judge

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
