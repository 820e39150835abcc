"""Malformed and hostile input of every kind:
a few examples of each, the same every time; thousands by name:

FUZZ=1000 python -m pytest tests/fuzz      1,000 new examples of each
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # door.py and hostile.py


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path_factory.mktemp("home")))
