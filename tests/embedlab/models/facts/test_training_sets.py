"""What models that were trained here were trained on, as their training.json says."""

import json
import shutil

import pytest

from embedlab.models import find
from embedlab.models.facts import training_sets
from embedlab.resources import DATA
from leaderboard.statistics.aggregation import zero_shot
from tests.beir_folder import write_beir


@pytest.fixture
def trained(tmp_path):
    """A folder whose record names a base, data, and what was read of them: its training sets."""

    def make(base, data, read, name="trained", **more):
        folder = tmp_path / name
        folder.mkdir()
        stage = {"data": {}, "settings": {}, **more}
        recipe = {"base": base, "data": data, "stages": [stage], "settings": {}}
        record = {"recipe": recipe, "data": {"stage 1": read}}
        (folder / "training.json").write_text(json.dumps(record))
        return training_sets.of_folder(folder)

    return make


PACKAGES, READ = {"packages": "minis"}, {"rows": 9, "versions": {"numpy": "2"}}
TASK = {"rows": 9, "tasks": [{"task": "SciFact", "split": "train"}]}


def test_a_task_counts_with_those_of_the_same_data(trained):
    found = trained("base-mean", {"task": "SciFact"}, TASK)
    assert found.sources == ["task SciFact, split train"]
    assert "SciFact" in found.tasks and len(found.tasks) > 1  # NanoSciFactRetrieval, for example


def test_a_base_counts_too(trained, tmp_path):
    from embedlab.models.facts import registry_facts

    minilm = set(registry_facts.of("sentence-transformers/all-MiniLM-L6-v2")["training_datasets"])
    assert minilm and trained("all-minilm-l6-v2", PACKAGES, READ).tasks == minilm
    again = trained(str(tmp_path / "trained"), {"task": "SciFact"}, TASK, name="again")
    assert again.tasks > minilm and "SciFact" in again.tasks
    teacher = {"settings": {"teacher": "all-minilm-l6-v2"}}
    assert trained("smollm2-135m@layers=6", PACKAGES, READ, name="t", **teacher).tasks == minilm


@pytest.mark.parametrize(
    ("base", "data", "read"),
    [
        ("base-mean", {"path": "pairs.jsonl"}, {"rows": 9}),
        ("base-mean", {"hub": "owner/name"}, {"rows": 9}),
        ("base-mean", {"sources": [{"task": "SciFact"}, {"path": "x.csv"}]}, TASK),
        ("base-mean", {"path": "mine"}, {"tasks": [{"task": "mine", "split": "train"}]}),
        ("base-mean", PACKAGES, {}),
        ("owner/unknown", PACKAGES, READ),
        ("nowhere", PACKAGES, READ),
    ],
)
def test_what_is_not_known_is_not_counted_as_unseen(trained, tmp_path, base, data, read):
    assert trained(base, data, read).tasks is None
    assert "training_datasets" not in training_sets.of_card(find(str(tmp_path / "trained")))


def test_shipped_models_know_their_data():
    for record in (DATA / "checkpoints").glob("*/training.json"):
        assert training_sets.of_folder(record.parent).tasks is not None, record


def test_another_version_of_a_task_is_of_its_data():
    assert zero_shot(["SciFact"], ["SciFact@1f40e3e0", "NFCorpus"]) == 50


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"recipe": 3}', '{"recipe": {"stages": [1]}}'])
def test_a_damaged_record_says_nothing(tmp_path, text):
    (tmp_path / "training.json").write_text(text)
    assert training_sets.of_folder(tmp_path) is None


def test_models_show_and_the_leaderboard_say_it(cli, home, tiny_folder, tmp_path):
    """Trained on SciFact: of SciFact alone, nothing was unseen. By a file: nobody knows."""
    folder = shutil.copytree(tiny_folder, tmp_path / "mine")
    scifact = write_beir(tmp_path / "SciFact", [f"w{n}" for n in range(99)], 30, 4)
    for data, read, share in (({"task": "SciFact"}, TASK, 0), ({"path": "x"}, {"rows": 1}, None)):
        recipe = {"base": "base-mean", "data": data, "stages": [{"data": {}, "settings": {}}]}
        record = {"recipe": recipe, "data": {"stage 1": read}}
        (folder / "training.json").write_text(json.dumps(record))
        code, out, err = cli("models", "show", folder, "--json")
        said = {each["name"]: each["value"] for each in json.loads(out)["settings"]}
        assert code == 0 and said["trained on"], err
        assert (said["training datasets"] == "unknown") == (share is None)
        db = tmp_path / f"{share}.duckdb"
        assert cli("eval", "-m", folder, "-t", scifact, "--db", db)[0] == 0
        code, out, err = cli("leaderboard", "--db", db, "--json")
        assert code == 0, err
        (row,) = json.loads(out)["rows"]
        assert row["zero_shot"] == share, row
