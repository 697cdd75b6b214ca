# Verbs for people; `make help` lists them. Names come as variables: make deploy MODEL=cnn DEVICE=rpi
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
# Two Pythons mixed in one environment fail in odd places: one made with another Python is made anew.
WHICH := import sys; print(sys.base_prefix, sys.version)
EDGEARCH := $(VENV)/bin/edgearch

# Values reach programs as environment variables, never as text of a shell command.
export MODEL DEVICE FOLDER ACCEPT PIPELINE DATASET DATA_FOLDER HOST SEED INPUTS BUILD TFLM_DIR
FLAGS = $${PIPELINE:+"--pipeline=$$PIPELINE"} $(DATA_FLAGS) $(HOST_FLAGS)
DATA_FLAGS = $${DATASET:+"--dataset=$$DATASET"} $${DATA_FOLDER:+"--data-folder=$$DATA_FOLDER"} $${SEED:+"--seed=$$SEED"}
HOST_FLAGS = $${HOST:+"--host=$$HOST"} $${BUILD:+"--build=$$BUILD"}
NEED_MODEL = @test -n "$$MODEL" || { echo "make $@: say which model: make $@ MODEL=cnn DEVICE=rpi" >&2; exit 2; }
NEED_DEVICE = @test -n "$$DEVICE" || { echo "make $@: say which device: make $@ MODEL=cnn DEVICE=rpi" >&2; exit 2; }

.PHONY: help
help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

.PHONY: install
install: $(READY) ## make the virtual environment (the other verbs do it by themselves)

# Made when it is missing or older than what it is made from, and never otherwise.
$(READY): pyproject.toml constraints.txt
	@echo "Making $(VENV): about two minutes and 2.5 GB, once."
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("edgearch needs Python 3.11 to 3.13, found " + sys.version.split()[0] + ". Name another: make install PYTHON=python3.12")'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "Python has no venv module: sudo apt install python3-venv" >&2; exit 2; }
	@[ "$$($(VENV)/bin/python -c '$(WHICH)' 2>&1)" = "$$($(PYTHON) -c '$(WHICH)')" ] || $(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

.PHONY: deploy
deploy: $(READY) ## train, compress, convert, check, ship, measure: MODEL=cnn DEVICE=rpi [PIPELINE= DATASET= HOST= TFLM_DIR=]
	$(NEED_MODEL)
	$(NEED_DEVICE)
	@$(EDGEARCH) deploy --device="$$DEVICE" $(FLAGS) -- "$$MODEL"

.PHONY: compare
compare: $(READY) ## every precision side by side: MODEL=cnn DEVICE=rpi
	$(NEED_MODEL)
	$(NEED_DEVICE)
	@$(EDGEARCH) compare --device="$$DEVICE" $(DATA_FLAGS) $(HOST_FLAGS) -- "$$MODEL"

.PHONY: run
run: $(READY) ## run an existing TFLite model on a device: MODEL=file.tflite DEVICE=rpi [INPUTS=x.npz]
	$(NEED_MODEL)
	$(NEED_DEVICE)
	@$(EDGEARCH) run --device="$$DEVICE" $${INPUTS:+"--inputs=$$INPUTS"} $(HOST_FLAGS) -- "$$MODEL"

.PHONY: try
try: $(READY) ## draw digits for a model in your browser: MODEL=cnn
	@test -n "$$MODEL" || { echo "make $@: say which model: make $@ MODEL=cnn" >&2; exit 2; }
	@$(EDGEARCH) try $${PIPELINE:+"--pipeline=$$PIPELINE"} $(DATA_FLAGS) $${BUILD:+"--build=$$BUILD"} -- "$$MODEL"

.PHONY: check-device
check-device: $(READY) ## will it fit? Nothing is trained: MODEL=cnn (or file.tflite) DEVICE=mcu
	$(NEED_MODEL)
	$(NEED_DEVICE)
	@$(EDGEARCH) check --device="$$DEVICE" $(FLAGS) -- "$$MODEL"

.PHONY: regress
regress: $(READY) ## latest latencies against the accepted ones, exit 1 if slower: DEVICE=rpi [MODEL= HOST= ACCEPT=yes]
	$(NEED_DEVICE)
	@$(EDGEARCH) regress --device="$$DEVICE" $(HOST_FLAGS) $${ACCEPT:+--accept} $${MODEL:+-- "$$MODEL"}

.PHONY: devices
devices: $(READY) ## list the device profiles
	@$(EDGEARCH) devices

.PHONY: doctor
doctor: $(READY) ## what this machine can do
	@$(EDGEARCH) doctor

.PHONY: test
test: $(READY) ## run the tests
	$(VENV)/bin/python -m pytest

.PHONY: test-device
test-device: $(READY) ## deploy every family to a device and check parity, accuracy and latency: DEVICE=rpi [HOST=]
	$(NEED_DEVICE)
	$(VENV)/bin/python -m pytest tests/device --device="$$DEVICE" $${HOST:+"--host=$$HOST"}

.PHONY: virtual-pi
virtual-pi: $(READY) ## a Raspberry Pi in QEMU, on loopback: built once (minutes), needs root; ends with virtual-pi-down
	@$(VENV)/bin/python scripts/virtual_pi.py up

.PHONY: virtual-pi-down
virtual-pi-down: $(READY) ## end the virtual Raspberry Pi
	@$(VENV)/bin/python scripts/virtual_pi.py down

.PHONY: test-virtual-pi
test-virtual-pi: $(READY) ## deploy to the virtual Raspberry Pi over ssh, as a test (needs root)
	$(VENV)/bin/python -m pytest -m slow tests/device/test_virtual_pi.py

.PHONY: test-models
test-models: $(READY) ## train every variant fully, three seeds, and hold it against its goal (about an hour; resumes)
	$(VENV)/bin/python -m pytest -m slow tests/models/test_trained.py

.PHONY: test-profiles
test-profiles: $(READY) ## deploy every family to every profile without hardware (half an hour; resumes)
	$(VENV)/bin/python -m pytest -m slow tests/device/test_profiles.py

.PHONY: test-firmware
test-firmware: $(READY) ## build firmware and run it on an emulated Cortex-M4 (minutes): TFLM_DIR=tflite-micro's source tree
	@test -n "$$TFLM_DIR" || { echo "make $@: say where TensorFlow Lite Micro is: make $@ TFLM_DIR=…" >&2; exit 2; }
	$(VENV)/bin/python -m pytest -m firmware -s tests/firmware/test_emulated.py

.PHONY: check
check: $(READY) ## lint, format, types, import layers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

.PHONY: cora
cora: $(READY) ## accuracy of gnn-gcn on Cora, five seeds, beside the paper's: DATA_FOLDER=folder with ind.cora.*
	@test -n "$$DATA_FOLDER" || { echo "make cora: say where the Planetoid files are: make cora DATA_FOLDER=…" >&2; exit 2; }
	@$(VENV)/bin/python scripts/cora.py "$$DATA_FOLDER"

.PHONY: edgetpu-pairs
edgetpu-pairs: $(READY) ## hold the Edge TPU's rules against its compiler: FOLDER=folder with X.tflite and X_edgetpu.tflite
	@test -n "$$FOLDER" || { echo "make $@: say where the pairs are: make $@ FOLDER=…" >&2; exit 2; }
	@$(VENV)/bin/python scripts/edgetpu_pairs.py "$$FOLDER"

.PHONY: docs
docs: $(READY) ## print the figures of docs/*.md again, in place (minutes): [DATA_FOLDER=folder with ind.cora.*]
	@$(VENV)/bin/python scripts/docs.py $${DATA_FOLDER:+"--data-folder=$$DATA_FOLDER"}

.PHONY: benchmark
benchmark: $(READY) ## time the main path and the agent: ratios and seconds
	$(VENV)/bin/python benchmarks/run.py

.PHONY: clean
clean: ## remove build/ and caches; the virtual environment stays
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
