# make run    builds and serves the example cluster on 127.0.0.1:1053
# make test   builds and passes all tests
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SOURCES := $(shell find src -name '*.pyx' -o -name '*.pxd') setup.py pyproject.toml

.PHONY: run build debug sanitize test test-all lint typecheck bench clean

run: build
	$(BIN)/fastdns demo

build: $(VENV)/.built

$(VENV)/.venv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip 'setuptools>=77'
	touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.venv
	$(BIN)/python -m pip install --quiet cython
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[dev]'
	touch $@

$(VENV)/.built: $(VENV)/.installed $(SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace
	touch $@

debug: $(VENV)/.installed
	FASTDNS_DEBUG=1 $(BIN)/python setup.py --quiet build_ext --inplace --force

test: build
	$(BIN)/python -m pytest -q

lint: build
	$(BIN)/ruff check .
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/cython-lint src

typecheck: build
	$(BIN)/mypy

clean:
	rm -rf build $(VENV)
	find src -name '*.so' -delete -o -name '*.c' -delete
