"""`--top-k`: what a shallow ranking cannot tell is not recorded, and what it tells is the same as
of a deep one.
"""

import json

import pytest

from leaderboard.storage.store import Store
from tests.embedlab.cli.test_eval import folder  # noqa: F401 (a fixture)


@pytest.mark.parametrize("model", ["tiny", "bm25"])
def test_metrics_beyond_the_depth_are_not_recorded(cli, home, folder, tiny_folder, model):  # noqa: F811
    model = tiny_folder if model == "tiny" else model
    arguments = ["eval", "-m", model, "-t", folder, "--json"]
    runs = {}
    for top_k in (None, 10, 30, 2000):
        code, out, err = cli(*arguments, *(["--top-k", top_k] if top_k else []))
        assert code == 0, err
        (runs[top_k],) = json.loads(out)["runs"]
    whole, shallow = runs[None]["scores"], runs[10]["scores"]
    assert {"recall_at_20", "recall_at_100", "nauc_recall_at_20_max"} <= whole.keys()
    assert {name for name in shallow if name.endswith(("_at_20", "_at_100", "_at_1000"))} == set()
    assert {"ndcg_at_10", "recall_at_10", "nauc_ndcg_at_10_max", "accuracy"} <= shallow.keys()
    assert {name: whole[name] for name in shallow} == shallow
    assert runs[30]["scores"] == runs[2000]["scores"] == whole, "30 documents are all there are"
    store = Store(home / "results.duckdb")
    assert store.ranking(runs[10]["run_id"]).rows.shape == (8, 10)
    assert store.run(runs[10]["run_id"]).depth == 10
    assert "recall_at_20" not in store.run(runs[10]["run_id"]).per_query.metrics
    assert "depth" in cli("runs", "list")[1]
    code, out, _ = cli("leaderboard", "--metric", "R@20", "--json")
    assert [row["mean"] for row in json.loads(out)["rows"]] == [whole["recall_at_20"]]


def test_a_depth_that_the_main_metric_needs_is_asked_for(cli, home, folder, tiny_folder):  # noqa: F811
    code, _, err = cli("eval", "-m", tiny_folder, "-t", folder, "--top-k", 3)
    assert code == 2
    assert "3 documents for a query are too few for nDCG@10" in err and "--top-k 10" in err
    assert Store(home / "results.duckdb").runs().num_rows == 0


def test_a_run_in_another_dtype_is_another_view(cli, home, folder, tiny_folder):  # noqa: F811
    for dtype in ("float32", "bfloat16"):
        assert cli("eval", "-m", tiny_folder, "-t", folder, "--dtype", dtype)[0] == 0
    evaluate = ["eval", "-m", tiny_folder, "-t", folder, "--dtype", "float32"]
    assert cli(*evaluate, "--store-dtype", "float16")[0] == 0
    listed = cli("runs", "list")[1]
    assert "dtype=bfloat16" in listed and "dtype=float32,store_dtype=float16" in listed
    (row,) = json.loads(cli("leaderboard", "--json")[1])["rows"]
    assert row["label"] == "tiny@dtype=float32", "of several, the plainest stands for the model"
    _, out, _ = cli("leaderboard", "--views", "--json")
    labels = {row["label"] for row in json.loads(out)["rows"]}
    assert labels == {
        "tiny@dtype=float32",
        "tiny@dtype=bfloat16",
        "tiny@dtype=float32,store_dtype=float16",
    }


@pytest.mark.effect("leaderboard --split")
def test_scores_on_another_split_are_never_averaged(cli, home, folder, tiny_folder):  # noqa: F811
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td5\t1\n")
    evaluate = ["eval", "-m", tiny_folder, "-t", folder, "--dtype", "float32", "--json"]
    (test,) = json.loads(cli(*evaluate)[1])["runs"]
    (dev,) = json.loads(cli(*evaluate, "--split", "dev")[1])["runs"]
    assert dev["split"] == "dev"
    (row,) = json.loads(cli("leaderboard", "--json")[1])["rows"]
    assert row["scores"] == {test["task"]: test["main_score"], dev["task"]: dev["main_score"]}
    (row,) = json.loads(cli("leaderboard", "--split", "dev", "--json")[1])["rows"]
    assert row["mean"] == dev["main_score"]
    code, _, err = cli("leaderboard", "--split", "nope")
    assert code == 2 and "no run on the split 'nope'" in err
