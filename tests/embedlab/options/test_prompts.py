"""`embedlab eval --prompts`: models under several sets of prompts."""

import json

import numpy as np
import pytest

from leaderboard.statistics.significance import correct, randomisation_test
from leaderboard.storage.store import Store

FILE = 'one = "w1 w2 w3 "\ntwo = "q: "\n\n[both]\nquery = "w4 "\ndocument = "w5 "\n'


@pytest.fixture
def prompts(tmp_path):
    def write(text):
        file = tmp_path / "prompts.toml"
        file.write_text(text)
        return file

    return write


@pytest.mark.effect("eval --prompts")
def test_a_sweep_is_its_runs_compared(ok, home, tiny_folder, corner, prompts, tmp_path):
    other = tmp_path / "other"
    other.symlink_to(tiny_folder)
    cls = f"{tiny_folder}?pooling=cls"
    said = ok(
        "eval", "--model", tiny_folder, "--model", cls, "--model", "bm25", "--task", corner,
        "--prompts", prompts(FILE), "--json",
    )  # fmt: skip
    assert len(said["runs"]) == 2 * 4 + 1
    # Documents went through each model once for two document prompts, whatever the queries'.
    roles = [
        json.loads(path.read_text())["ingredients"]["role"]
        for path in (home / "vectors").glob("*/manifest.json")
    ]
    assert roles.count("document") == 2 * 2 and roles.count("query") == 2 * 4

    store = Store(home / "results.duckdb")
    by_model = {run["model"]: store.run(run["run_id"]) for run in said["runs"]}
    own, one = by_model["tiny"], by_model['tiny?prompt.query="w1 w2 w3 "']
    assert one.resolved["prompts"]["query"] == "w1 w2 w3 "
    rows = said["prompts"]["prompted"]
    row = next(each for each in rows if each["model"] == "tiny" and each["prompt"] == "one")
    metric = own.task.main_metric
    differences = one.per_query.metrics[metric] - own.per_query.metrics[metric]
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["p"] == pytest.approx(float(randomisation_test(differences)))
    corrected = correct([each["p"] for each in rows], "holm")
    assert [each["corrected_p"] for each in rows] == pytest.approx(corrected.tolist())

    scores = [each["score"] for each in rows if each["model"] == "tiny"]
    spread = next(each for each in said["prompts"]["spreads"] if each["model"] == "tiny")
    assert [spread[name] for name in ("minimum", "median", "maximum", "sd", "own")] == [
        pytest.approx(value)
        for value in (
            min(scores), np.median(scores), max(scores), np.std(scores, ddof=1), own.main_score,
        )
    ]  # fmt: skip
    ranks = {each["model"]: each for each in said["prompts"]["ranks"]}
    assert set(ranks) == {"tiny", "tiny?pooling=cls", "bm25"}
    for prompt in ("one", "two", "both"):
        under = {each["model"]: each["score"] for each in rows if each["prompt"] == prompt} | {
            "bm25": by_model["bm25"].main_score
        }
        places = {name: 1 + sum(s > score for s in under.values()) for name, score in under.items()}
        assert {name: each["by_prompt"][prompt] for name, each in ranks.items()} == places


def test_prompts_on_a_card_or_behind_a_name_give_way(ok, tiny_folder, corner, prompts, tmp_path):
    card = tmp_path / "mine.toml"
    card.write_text(
        f'model = "{tiny_folder}"\nmax_length = 8\n[prompts]\nRetrieval = "w9 w8 w7 "\n'
    )
    rows = {}
    for name in (
        f"{tiny_folder}?max_length=8",
        card,
        f'{tiny_folder}?prompt.query="q: "&max_length=8',
    ):
        said = ok("eval", "--model", name, "--task", corner, "--prompts", prompts(FILE), "--json")
        found = said["prompts"]["prompted"]
        rows[str(name)] = {each["prompt"]: each["score"] for each in found}
    plain, on_card, behind = rows.values()
    assert plain == on_card == behind and len(set(plain.values())) > 1


def test_the_tables_and_the_experiment_file(ok, tiny_folder, corner, prompts, tmp_path):
    file = tmp_path / "experiment.toml"
    file.write_text(
        f'models = ["{tiny_folder}"]\ntasks = ["{corner}"]\nprompts = "{prompts(FILE)}"\n'
    )
    shown = ok("eval", "--config", file)
    for word in ("p (holm)", "median", "sd", "both", "- own"):
        assert word in shown


def test_prompts_of_tasks_without_roles(ok, home, tiny_folder, prompts, tmp_path):
    rows = [f"{n % 5}.0\tw{n} w{n + 1}\tw{n} w{(n * 7) % 90}\n" for n in range(30)]
    mirror = tmp_path / "mirror/STSBenchmark"
    mirror.mkdir(parents=True)
    (mirror / "test.tsv").write_text("score\tsentence1\tsentence2\n" + "".join(rows))
    said = ok(
        "eval", "--model", tiny_folder, "--task", "STSBenchmark", "--data-dir", mirror.parent,
        "--prompts", prompts('one = "w1 w2 w3 "\n'), "--json",
    )  # fmt: skip
    assert [run["model"] for run in said["runs"]] == ["tiny", 'tiny?prompt.text="w1 w2 w3 "']
    (row,) = said["prompts"]["prompted"]
    assert row["difference"] != 0 and 0 < row["p"] <= 1  # over the pairs of texts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "prompts.toml is empty"),
        ("# nothing\n", "prompts.toml is empty"),
        ('one = "a: "\ntwo = "b: "\none = "c: "\n', "prompts.toml:3 gives the name 'one' a second"),
        ('[one]\nquery = "a: "\n[one]\nquery = "b: "\n', "prompts.toml:3 gives the name 'one'"),
        ('one = "a: "\ntwo = "a: "\n', "two says the same as one"),
        (
            'one = "a: "\ntwo = "{topic}: "\n',
            "prompts.toml:2: The prompt '{topic}: ' has an unknown",
        ),
        ('[one]\ninstruction = "a: "\n', "prompts.toml:2"),
        ("one = 1\n", "prompts.toml:1"),
        ("[one]\n", "one has no prompt"),
        ('own = "a: "\n', "stands for the model's own"),
        ('one = "a: \n', "no TOML"),
    ],
)
def test_a_file_that_is_wrong_is_one_clear_error(refused, home, corner, prompts, text, message):
    error = refused("eval", "--model", "bm25", "--task", corner, "--prompts", prompts(text))
    assert message in error
    assert not (home / "results.duckdb").exists()


def test_models_that_read_no_prompts(refused, corner, prompts, tmp_path):
    file = prompts(FILE)
    assert "No model here reads" in refused(
        "eval", "--model", "bm25", "--task", corner, "--prompts", file
    )
    assert "There is no file" in refused(
        "eval", "--model", "bm25", "--task", corner, "--prompts", tmp_path / "no.toml"
    )
