"""The examples of docstrings and the Python of README and docs run as they stand, and give what they say."""

import doctest
import re
import shutil
from importlib import import_module
from pathlib import Path

import pytest

import embedlab

ROOT = Path(__file__).parents[3]
# In this order: what the first records in the store, later ones read.
MODULES = ("embedlab", "embedlab.api.results", "embedlab.api.index", "embedlab.api.load", "embedlab.api.evaluate")
BLOCKS = [
    pytest.param(block, id=f"{path.name}-{number}")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S))
]


@pytest.fixture
def elsewhere(home, tmp_path, monkeypatch):
    """A folder to work in, with the models that the examples have trained, and an empty EMBEDLAB_HOME."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "data" / "checkpoints" / "causal2vec", "my-causal2vec")
    return tmp_path


def test_docstrings(elsewhere):
    tried = 0
    for name in MODULES:
        found = doctest.testmod(import_module(name), extraglobs={"embedlab": embedlab})
        assert not found.failed, name
        tried += found.attempted
    assert tried >= 12


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks(block, elsewhere):
    exec(compile(block, "README", "exec"), {"__name__": "__main__"})


def test_the_readme_has_python():
    assert sum(parameter.id.startswith("README") for parameter in BLOCKS) >= 2
