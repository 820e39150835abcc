"""A study on a task that ranks nothing: intervals and tests over its pairs of texts."""

import json

import numpy as np

STUDY = """
title = "Long or short"
question = "Do four tokens do?"
tasks = ["STS12"]

[options]
device = "cpu"

[[models]]
name = "whole"
model = "{tiny}"

[[models]]
name = "short"
model = "{tiny}?max_length=4"
role = "control"

[[comparisons]]
name = "Whole, or short"
first = ["whole"]
second = ["short"]
"""


def test_a_study_of_sts_has_intervals_and_tests(cli, home, tiny_folder, tmp_path):
    rng = np.random.default_rng(0)
    rows = ["score\tsentence1\tsentence2"]
    for n in range(30):
        words = rng.integers(0, 200, 8)
        other = np.where(rng.random(8) < n / 30, words, rng.integers(0, 200, 8))
        texts = (" ".join(f"w{word}" for word in each) for each in (words, other))
        rows.append("\t".join([f"{n / 6:.2f}", *texts]))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "STS12.tsv").write_text("\n".join(rows) + "\n")
    file = tmp_path / "study.toml"
    file.write_text(STUDY.format(tiny=tiny_folder))
    code, out, err = cli("study", file, "--data-dir", tmp_path / "data", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert len(found["scores"]) == 2
    assert all(each["low"] < each["score"] < each["high"] for each in found["scores"])
    (pair,) = (pair for family in found["comparisons"] for pair in family["pairs"])
    assert pair["unit"] == "pairs" and pair["queries"] == 30 and 0 < pair["p"] <= 1
    assert pair["low"] < pair["difference"] < pair["high"]
