"""A model whose vectors say nothing:
what is no number is recorded as no score, and printed as no JSON.
"""

import json

import numpy as np
import pytest

from leaderboard.records import Model, PerQuery, Run, Task
from leaderboard.storage.store import Store

MODULE = """
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Module

class Same(Module):
    config_keys = []
    def forward(self, features):
        features["sentence_embedding"] = features["sentence_embedding"] * 0 + 1.0
        return features
    def save(self, *arguments, **named):
        pass

def Const(device=None, dtype=None):
    model = SentenceTransformer({folder!r}, device=device, model_kwargs={{"dtype": dtype}})
    model.append(Same())
    return model
"""


def strict(text: str):
    """`text` as JSON, without what Python alone reads: NaN and Infinity."""

    def refuse(name):
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_correlation_that_does_not_exist_is_a_failure_beside_what_was_scored(
    cli, home, tiny_folder, tmp_path
):
    (tmp_path / "const.py").write_text(MODULE.format(folder=str(tiny_folder)))
    pairs = [f"{n % 5}.0\tw{n} w{n + 1}\tw{n + 2} w{n + 3}" for n in range(20)]
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "STSBenchmark.tsv").write_text(
        "\n".join(["score\tsentence1\tsentence2", *pairs]) + "\n"
    )
    arguments = [
        "--task",
        "STSBenchmark",
        "--data-dir",
        tmp_path / "mirror",
        "--dtype",
        "float32",
        "--json",
    ]
    code, out, err = cli(
        "eval", "-m", f"{tmp_path / 'const.py'}:Const", "-m", tiny_folder, *arguments
    )
    assert code == 2
    assert "cosine_spearman of" in err and "is no number" in err
    (run,) = strict(out)["runs"]
    assert run["model"] == "tiny"
    store = Store(home / "results.duckdb")
    assert store.runs().num_rows == 1
    assert store.failures().num_rows == 1
    assert store.query("SELECT count(*) AS n FROM scores WHERE isnan(value)")["n"].to_pylist() == [
        0
    ]


def test_every_answer_of_a_store_is_json(cli, home):
    """Scores that are no numbers, and effect sizes without bound."""
    store = Store(home / "results.duckdb")
    for model, score in (("a", 0.6), ("b", 0.5)):
        values = PerQuery([f"q{n}" for n in range(20)], {"ndcg_at_10": np.full(20, score)})
        scores = {"ndcg_at_10": score, "nauc_ndcg_at_10_max": float("nan")}
        costs = {"encode_seconds": 1.0, "texts_per_second": float("inf")}
        store.add(
            Run(
                Model(model),
                Task("T", "Retrieval"),
                score,
                scores,
                per_query=values,
                costs=costs,
                id=model,
            )
        )
    for command in (
        ["leaderboard"],
        ["compare", "a", "b"],
        ["compare", "a", "b", "--test", "bootstrap"],
        ["grid", "-m", "a"],
        ["runs", "list"],
        ["runs", "show", "a"],
        ["runs", "diff", "a", "b"],
    ):
        code, out, err = cli(*command, "--json")
        assert code == 0, err
        assert strict(out)
    code, out, _ = cli("compare", "a", "b", "--test", "bootstrap", "--json")
    (pair,) = strict(out)["pairs"]
    assert pair["p"] < 0.001 and pair["effect_size"] is None


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_the_store_takes_no_main_score_that_is_no_number(home, score):
    from leaderboard.errors import LeaderboardError

    store = Store(home / "results.duckdb")
    with pytest.raises(LeaderboardError, match="no number to rank by"):
        store.add(Run(Model("a"), Task("T", "STS"), score, {"cosine_spearman": score}))
    assert not store.path.exists()
