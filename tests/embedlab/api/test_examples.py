"""The examples of docstrings run as they stand, and give what they say.
Those of README and docs: tests/docs.
"""

import doctest
from importlib import import_module

import pytest

import embedlab

# In this order: what the first records in the store, later ones read.
MODULES = (
    "embedlab",
    "embedlab.api.results",
    "embedlab.api.index",
    "embedlab.api.load",
    "embedlab.api.evaluate",
)


@pytest.fixture
def elsewhere(home, tmp_path, monkeypatch):
    """A folder to work in, and an empty EMBEDLAB_HOME."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_docstrings(elsewhere):
    tried = 0
    for name in MODULES:
        found = doctest.testmod(import_module(name), extraglobs={"embedlab": embedlab})
        assert not found.failed, name
        tried += found.attempted
    assert tried >= 12
