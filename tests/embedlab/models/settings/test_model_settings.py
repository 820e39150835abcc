"""Settings behind a model's name: from what a user types to vectors and records."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from embedlab import models
from embedlab.errors import UserError

sys.path.insert(0, str(Path(__file__).parents[3] / "golden"))

import tiny as checkpoints

LONG = "are judo throws allowed in wrestling? " * 60


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("settings")
    base = checkpoints.write("mistral", root / "base")
    head = checkpoints.write_head(checkpoints.write_adapter(root / "adapter", base), layers=True)
    return {"nv": checkpoints.write_nv_embed(root / "nv"), "base": base, "adapter": head}


def test_a_setting_changes_the_vector_and_nothing_else(folders):
    plain = models.load(f"{folders['nv']}?max_length=32", dtype="float32", device="cpu")
    cut = models.load(
        f"{folders['nv']}?max_length=32&keep_end=false", dtype="float32", device="cpu"
    )
    assert plain.card.method == cut.card.method == "nv-embed"
    assert cut.settings == {"max_length": 32, "keep_end": False}
    assert (cut.card.name, cut.card.max_length) == ("nv?keep_end=false&max_length=32", 32)
    short, long = (
        np.abs(plain.encoder.encode(t) - cut.encoder.encode(t)).max() for t in ("judo", LONG)
    )
    assert short == 0 and long > 1e-4
    assert plain.encoder[0].rows([LONG])[0].ids[-1] == 2 != cut.encoder[0].rows([LONG])[0].ids[-1]


def test_a_folder_that_no_method_recognises_is_told_its_method(folders):
    name = f"{folders['adapter']}?method=pooling-and-attn&variant=3&heads=2&base={folders['base']}"
    model = models.load(name, dtype="float32", device="cpu")
    assert model.encoder[1].reads == "last_of_layers"


@pytest.mark.parametrize("absolute", [True, False])
def test_the_base_that_a_setting_names_counts_by_its_content(
    folders, tmp_path, monkeypatch, absolute
):
    base, adapter = (
        shutil.copytree(folders[name], tmp_path / name) for name in ("base", "adapter")
    )
    config = adapter / "adapter_config.json"
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": "some/base"})
    )
    monkeypatch.chdir(tmp_path)
    name = (
        f"{adapter}?method=pooling-and-attn&variant=3&heads=2&base={base if absolute else 'base'}"
    )
    first, again = (models.load(name, dtype="float32", device="cpu") for _ in range(2))
    assert first.identity == again.identity
    for file in ("config.json", "tokenizer.json"):
        (base / file).write_text((base / file).read_text() + "\n")
        before, again = again.identity, models.load(name, dtype="float32", device="cpu")
        assert again.identity != before


def test_runs_under_other_settings_are_runs_of_another_model(cli, home, folders, tmp_path):
    rows = [{"_id": f"d{n}", "text": f"{n} {LONG}"} for n in range(4)]
    (tmp_path / "task/qrels").mkdir(parents=True)
    for file, lines in (("corpus", rows), ("queries", [{"_id": "q", "text": "judo"}])):
        (tmp_path / f"task/{file}.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines)
        )
    (tmp_path / "task/qrels/test.tsv").write_text("q\td1\t1\n")
    names = [f"{folders['nv']}?max_length=32", f"{folders['nv']}?max_length=32&keep_end=false"]
    code, out, err = cli(
        "eval", "--json", "--dtype", "float32", "--device", "cpu", "--task", str(tmp_path / "task"),
        *(part for name in names for part in ("--model", name)),
    )  # fmt: skip
    assert code == 0, err
    runs = json.loads(out)["runs"]
    assert [run["model"] for run in runs] == ["nv?max_length=32", "nv?keep_end=false&max_length=32"]


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ("keep_ends=false", r"Unknown setting of the method nv-embed", "keep_end"),
        ("keep_end", r"'keep_end' is no setting", "keep_end=false"),
        ("max_length=8&max_length=9", r"'max_length=9' is no setting", "each once"),
        ("method=nv", "Unknown method 'nv'", "nv-embed"),
    ],
)
def test_what_is_no_setting_is_refused(folders, settings, message, hint):
    with pytest.raises(UserError, match=message) as error:
        models.load(f"{folders['nv']}?{settings}", device="cpu")
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("depth=2", "Unknown setting of bm25 'depth'"),
        ("max_length=8", "Unknown setting of bm25"),
        ("k1=high", "bm25 has k1='high'"),
        ("b=0.4", "b=0.4 is what bm25 has anyway"),
    ],
)
def test_settings_that_bm25_has_not(settings, message):
    with pytest.raises(UserError, match=message):
        models.load(f"bm25?{settings}")


def test_bm25_under_other_settings_is_another_model():
    plain, other = models.load("bm25"), models.load("bm25?k1=2&b=1")
    assert other.card.settings == {"k1": 2.0, "b": 1.0} != plain.card.settings
    assert other.name == "bm25?b=1.0&k1=2.0" and other.revision != plain.revision
