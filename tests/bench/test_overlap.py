"""All pairs that the minis were trained on, against every text of the built-in benchmark."""

import tomllib

import pytest

from embedlab.resources import DATA
from embedlab.training import packages
from tests.embedlab.training.overlap import benchmark_texts, repeated

pytestmark = pytest.mark.bench


def test_no_training_text_equals_or_contains_a_benchmark_text(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path))
    named = tomllib.loads((DATA / "recipes/packages.toml").read_text())["minis"]["versions"]
    pairs = packages.pairs(list(named))
    texts = set(benchmark_texts())
    with capsys.disabled():
        print(
            f"\n{len(pairs):,} pairs of {len(named)} packages against {len(texts):,} texts of the"
            " benchmark"
        )
    assert (
        list(repeated((row[side] for row in pairs for side in ("query", "positive")), texts)) == []
    )
