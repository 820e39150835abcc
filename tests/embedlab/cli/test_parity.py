"""`embedlab parity`: routes to one model, from what is typed to what is shown and stored."""

import json
import shutil

import numpy as np
import pytest

from leaderboard.storage.store import Store
from tests.beir_folder import write_beir

WORDS = [f"w{n}" for n in range(99)]


@pytest.fixture(scope="module")
def corner(tmp_path_factory):
    return write_beir(tmp_path_factory.mktemp("beir") / "corner", WORDS, 30, 4)


@pytest.mark.effect("parity --task", "parity --json", "parity --db")
def test_a_task_gives_cosines_places_scores_and_rates(cli, home, corner, tiny_folder, tmp_path):
    other = f"{tiny_folder}?dtype=bfloat16"
    code, out, err = cli(
        "parity", tiny_folder, other, f"{tiny_folder}?max_length=6",
        "--task", corner, "--json", "--db", tmp_path / "own.duckdb",
    )  # fmt: skip
    assert code == 0, err
    answer = json.loads(out)
    first, rounded, cut = answer["routes"]
    assert [route["dtype"] for route in (first, rounded, cut)] == ["float32", "bfloat16", "float32"]
    assert first["speed"] == 1 and min(first["texts_per_second"], rounded["speed"]) > 0
    near, far = answer["agreements"]
    assert (near["texts"], near["queries"]) == (38, 8)
    assert 0.99 < near["cosine_min"] <= near["cosine_percentiles"]["1"] < 1
    assert far["cosine_min"] < near["cosine_min"] and far["overlap_10"] < 1 > far["kendall_tau"]
    assert near["difference"] == pytest.approx(rounded["score"] - first["score"])
    assert near["low"] <= near["difference"] <= near["high"] and 0 < near["p"] <= 1
    assert [each["cosine"] for each in far["worst"]] == sorted(e["cosine"] for e in far["worst"])
    assert far["worst"][0]["cosine"] == far["cosine_min"]
    runs = Store(tmp_path / "own.duckdb").runs()["model"].to_pylist()
    assert sorted(runs) == sorted(route["model"] for route in answer["routes"])


@pytest.mark.effect("parity --data", "parity --format")
def test_texts_alone_are_compared_and_nothing_is_recorded(cli, home, tiny_folder, tmp_path):
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(WORDS, 9)) for _ in range(40)]
    (tmp_path / "texts.txt").write_text("\n".join([*lines, "", lines[0]]))
    routes = (tiny_folder, f"{tiny_folder}?dtype=bfloat16")
    code, out, err = cli("parity", *routes, "--data", tmp_path / "texts.txt", "--json")
    assert code == 0, err
    (pair,) = json.loads(out)["agreements"]
    assert pair["texts"] == pair["queries"] == 40 and pair["difference"] is None
    assert 0.9 < pair["overlap_10"] <= 1 and pair["kendall_tau"] > 0.9
    assert not (home / "results.duckdb").exists()
    code, out, err = cli(
        "parity", *routes, "--data", tmp_path / "texts.txt", "--format", "markdown"
    )
    assert code == 0 and "| tiny?dtype=bfloat16" in out and "overlap@10" in out


def test_the_same_model_agrees_with_itself(cli, home, corner, tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "twin")
    code, out, err = cli("parity", tiny_folder, tmp_path / "twin", "--data", corner, "--json")
    (pair,) = json.loads(out)["agreements"]
    assert code == 0, err
    same = (pair["overlap_10"], pair["kendall_tau"], pair["top_1"], pair["cosine_min"])
    assert same == pytest.approx((1, 1, 1, 1), abs=1e-9) and pair["same_model"] is True


def test_two_different_models_are_named(cli, home, corner, tiny_folder):
    """A route of the same model is none of them."""
    models = (tiny_folder, "bm25", f"{tiny_folder}?max_length=6")
    code, out, err = cli("parity", *models, "--task", corner)
    assert code == 0, err
    assert "Not the same model as tiny by name or files: bm25." in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tiny}"], "compares two routes or more"),
        (["{tiny}", "{tiny}"], "compares two routes or more"),
        (["{tiny}", "{tiny}@onx"], "@onx"),
        (["{tiny}?backend=openvino", "{tiny}@openvino"], "both are named tiny@openvino"),
        (["{tiny}", "all-minilm-l6-v2", "--data", "{corner}"], "Routes of one model give vectors"),
        (["{tiny}", "bm25", "--data", "{corner}"], "bm25 gives no vector per text"),
        (["{tiny}", "bm25", "--task", "StdlibMiniPackageClustering"], "ranks no documents"),
        (["{tiny}", "bm25", "--data", "/nope.txt"], "There is no file /nope.txt"),
        (["{tiny}", "bm25", "--data", "x", "--task", "y"], "in place of a task"),
    ],
)
def test_bad_input(cli, home, corner, tiny_folder, arguments, message):
    words = [word.format(tiny=tiny_folder, corner=corner) for word in arguments]
    code, out, err = cli("parity", *words)
    assert code == 2 and message in err and "Traceback" not in err, err
    assert not out
