# make run    builds and serves the example cluster on 127.0.0.1:1053
# make test   builds and passes all tests
# make test PYTHON=python3.13   the same under another Python, in an environment of its own: .venv-3.13
PYTHON ?= python3
ifeq ($(origin PYTHON),command line)
VENV   ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= $(shell nproc)
SOURCES := $(shell find src -name '*.pyx' -o -name '*.pxd') setup.py pyproject.toml
TEST_SOURCES := $(shell find tests -name '*.pyx' -o -name '*.pxd')

PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check install

.PHONY: run build providers debug sanitize fuzz test test-many test-alone test-sanitized compare chaos soak lint typecheck package \
	docs bench clean lock image try-image

# Installs only what a server needs; packages are fetched while the compiler works.
run: | $(VENV)/.tools
	@$(MAKE) --no-print-directory -j2 $(VENV)/.installed $(VENV)/.built
	@$(BIN)/fastdns demo

# Installs what a server, tests and benches need.
build: $(VENV)/.dev $(VENV)/.built-tests

$(VENV)/.tools:
	@echo "Python environment: $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) 'setuptools>=77' 'cython>=3.1'
	@touch $@

# FASTDNS_NO_EXTENSIONS: extensions are built in place; pip would compile everything again, elsewhere.
$(VENV)/.installed: pyproject.toml | $(VENV)/.tools
	@FASTDNS_NO_EXTENSIONS=1 $(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@echo "Packages of tests and tools"
	@FASTDNS_NO_EXTENSIONS=1 $(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@

# The libraries of azure, clouddns, route53 and of certificates by ACME, a validator of bills of materials, gRPC, and what
# writes the dashboard: without them, tests are skipped. They take pip a minute.
providers: build
	FASTDNS_NO_EXTENSIONS=1 $(PIP) --no-build-isolation --editable '.[acme,azure,clouddns,monitoring,quic,route53]' \
		'cyclonedx-python-lib[json-validation]>=8' 'grpcio>=1.60'

$(VENV)/.built: $(SOURCES) | $(VENV)/.tools
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@# As an installation has it: a server that compiles its modules at each start takes half as long again.
	@$(BIN)/python -m compileall -q src
	@touch $@

# The extensions that only tests import. They use the package's declarations, so they are built after it.
$(VENV)/.built-tests: $(TEST_SOURCES) $(VENV)/.built
	@FASTDNS_TESTS=1 $(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

debug: $(VENV)/.dev
	FASTDNS_DEBUG=1 FASTDNS_WARNINGS=1 $(BIN)/python setup.py --quiet build_ext --inplace --force
	FASTDNS_DEBUG=1 FASTDNS_WARNINGS=1 FASTDNS_TESTS=1 $(BIN)/python setup.py --quiet build_ext --inplace --force

# A tree of links to the files here, built with address and undefined-behaviour sanitizers; the ordinary build stays.
SANITIZED := build/sanitizers
FUZZ_PACKETS ?= 1000000
SANITIZE_ENV = LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	PYTHONMALLOC=malloc PYTHONPATH=$(abspath $(SANITIZED))/src:$(abspath $(SANITIZED))

# The tree is left as it is between builds, so that only what changed is compiled; the find removes the links to the
# ordinary build's results and to files that no longer exist.
sanitize: $(VENV)/.dev
	mkdir -p $(SANITIZED)
	cp -rsn $(abspath $(filter-out build dist,$(wildcard *)) .github) $(SANITIZED)
	find $(SANITIZED) -type l \( -name '*.so' -o -name '*.c' -o -name '*.pyc' -o -xtype l \) -delete
	cd $(SANITIZED) && FASTDNS_SANITIZE=1 $(abspath $(BIN))/python setup.py --quiet build_ext --inplace
	cd $(SANITIZED) && FASTDNS_SANITIZE=1 FASTDNS_TESTS=1 $(abspath $(BIN))/python setup.py --quiet build_ext --inplace

# Damaged input under sanitizers; FUZZ_PACKETS=50000 for a short run, FUZZ_TARGETS="zones chains" for some of it.
fuzz: sanitize
	cd $(SANITIZED) && $(SANITIZE_ENV) $(abspath $(BIN))/python -m tests.fuzz.run --packets $(FUZZ_PACKETS) \
		$(if $(FUZZ_SEED),--seed $(FUZZ_SEED)) $(if $(FUZZ_TARGETS),--only $(FUZZ_TARGETS))

# The tests that call native code, under sanitizers.
test-sanitized: sanitize
	cd $(SANITIZED) && $(SANITIZE_ENV) $(abspath $(BIN))/python -m pytest -q -p no:cacheprovider \
		-m "native and not unsanitized" --timeout 900 \
		--numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

test:
	$(MAKE) test-many
	$(MAKE) test-alone

# Rewritten assertions are kept between runs, whatever the environment says: each process of a run would make them anew.
test-many test-alone: export PYTHONDONTWRITEBYTECODE =

# pytest's status is 1 where tests have failed. What it says of them stays on the screen.
TESTS := -m pytest -q --cache-clear
AGAIN = { test $$? = 1 && $(BIN)/python -m tests.again; }

# Most tests wait more than they compute: twice as many processes as there are cores run them, file by file, in the
# order of tests/conftest.py.
test-many: build
	$(BIN)/python $(TESTS) -m "not alone" --numprocesses $$((2 * $(JOBS))) --dist loadfile --no-loadscope-reorder || $(AGAIN)

# Tests that need the whole machine. Only their files are read: to read all takes as long as a dozen of them.
test-alone: build
	$(BIN)/python $(TESTS) -m alone $$(grep -rl --include='test_*.py' 'mark\.alone' tests | sort) || $(AGAIN)

# Every fault, for CHAOS_S seconds each. The results go to build/chaos.txt.
CHAOS_S ?= 60
chaos: build
	mkdir -p build
	rm -f build/chaos.txt
	FASTDNS_CHAOS_S=$(CHAOS_S) FASTDNS_CHAOS_REPORT=$(abspath build/chaos.txt) \
		$(BIN)/python -m pytest -q --timeout 1800 tests/integration/faults \
		tests/integration/test_drop_in.py::test_rolling_restart
	cat build/chaos.txt

# All faults at once for SOAK_S seconds; SOAK_SEED repeats a run. Prints a line each minute, also to build/soak.txt.
SOAK_S ?= 1800
SOAK_RATE ?= 5000
soak: build
	$(BIN)/python -m tests.integration.faults.soak --seconds $(SOAK_S) --rate $(SOAK_RATE) \
		$(if $(SOAK_SEED),--seed $(SOAK_SEED)) --report build/soak.txt

lint: build
	$(BIN)/ruff check .
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/cython-lint src tests

typecheck: build
	$(BIN)/mypy

# The site of the documentation, into build/docs/site; a link that leads nowhere is an error. It needs no build.
$(VENV)/.docs: pyproject.toml | $(VENV)/.tools
	@$(PIP) $$($(BIN)/python -c 'import tomllib; \
		print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"])')
	@touch $@

docs: $(VENV)/.docs
	$(BIN)/python docs/site.py

# Builds source distribution and wheel into dist/, installs each into an empty environment, and asks it.
package: $(VENV)/.dev
	$(BIN)/python -m tests.deploy.package

# Pins what the image has, with hashes, to the newest versions that pyproject.toml allows. It needs uv.
LOCK = uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.13 --no-emit-index-url \
	--no-annotate --no-header
lock:
	$(LOCK) pyproject.toml --extra dnssec --extra quic --extra scripts -o deploy/requirements/image.txt
	$(LOCK) pyproject.toml --extra acme --extra aws_secretsmanager --extra azure --extra clouddns --extra dnssec --extra kubernetes --extra quic --extra route53 --extra scripts -o deploy/requirements/image-all.txt
	$(PYTHON) -c "import tomllib; print('\n'.join(tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires']))" \
		| $(LOCK) - -o deploy/requirements/build.txt

# The root file system of the image, and a run of it as a pod's container. Both need Debian; the second needs root.
image:
	deploy/image build/image
try-image: image build
	deploy/try-image build/image

# Measures all installed servers side by side; writes a section of bench/RESULTS.md and the README's chart.
compare: build
	$(BIN)/python -m bench.compare --write

# The figures of bench/RESULTS.md: queries, beside the UDP echo and other servers, and a cluster of 100,000 endpoints.
bench: build
	$(BIN)/python -m bench.compare
	$(BIN)/fastdns bench cluster

clean:
	rm -rf build $(VENV) .venv-3.*
	find src tests -name '*.so' -delete -o -name '*.c' -delete
