"""Code that a model brings runs when the user says so by name, never else;
the run says that it did.
"""

import json
import shutil

import pytest

from embedlab import models
from embedlab.errors import UserError

FLIP = """
from sentence_transformers.base.modules import Module

class Flip(Module):
    config_keys = []

    def forward(self, features):
        features["sentence_embedding"] = features["sentence_embedding"].flip(-1)
        return features

    def save(self, output_path, *args, **kwargs):
        pass

    @classmethod
    def load(cls, *args, **kwargs):
        return cls()
"""


@pytest.fixture
def folder(tiny_folder, tmp_path, monkeypatch):
    """The tiny model, and after it a module whose code lies in the folder."""
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache")
    )
    target = tmp_path / "remote"
    shutil.copytree(tiny_folder, target)
    (target / "flip_module.py").write_text(FLIP)
    modules = json.loads((target / "modules.json").read_text())
    modules.append(
        {
            "idx": len(modules),
            "name": str(len(modules)),
            "path": "9_Flip",
            "type": "flip_module.Flip",
        }
    )
    (target / "modules.json").write_text(json.dumps(modules))
    (target / "9_Flip").mkdir()
    return target


@pytest.fixture
def task(tmp_path):
    path = tmp_path / "beir"
    (path / "qrels").mkdir(parents=True)
    (path / "corpus.jsonl").write_text(
        "\n".join(json.dumps({"_id": f"d{n}", "text": f"w{n}"}) for n in range(9))
    )
    (path / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "w3"}))
    (path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td3\t1\n")
    return path


def test_code_is_not_run_unasked_and_the_error_says_how_to_ask(home, folder):
    with pytest.raises(
        UserError, match=r"brings Python code of its own \(flip_module\.py\)"
    ) as error:
        models.load(str(folder), device="cpu", dtype="float32")
    assert str(folder) in error.value.hint and "--trust-remote-code" in error.value.hint


def test_trusted_code_runs_and_counts_for_the_identity(home, folder, tiny_folder):
    trusted = models.load(str(folder), device="cpu", dtype="float32", trust_remote_code=True)
    plain = models.load(str(tiny_folder), device="cpu", dtype="float32")
    assert (trusted.encoder.encode(["w1 w2"]) == plain.encoder.encode(["w1 w2"])[:, ::-1]).all()
    (folder / "flip_module.py").write_text(FLIP + "# changed\n")
    assert (
        models.load(str(folder), device="cpu", dtype="float32", trust_remote_code=True).identity
        != trusted.identity
    )


def test_from_the_command_line(cli, home, folder, task, tmp_path):
    from leaderboard.storage.store import Store

    code, _, err = cli("eval", "--model", folder, "--task", task, "--device", "cpu")
    assert code == 2 and "--trust-remote-code" in err and "Traceback" not in err
    code, out, _ = cli(
        "eval", "--model", folder, "--task", task, "--device", "cpu", "--trust-remote-code",
        "--json",
    )  # fmt: skip
    assert code == 0
    run = Store(home / "results.duckdb").run(json.loads(out)["runs"][0]["run_id"])
    assert run.asked["trust_remote_code"] is True
    assert run.resolved["settings"]["trust_remote_code"] is True
    index = (
        "index", "--model", folder, "--corpus", task, "--out", tmp_path / "index",
        "--device", "cpu",
    )  # fmt: skip
    code, _, err = cli(*index)
    assert code == 2 and "--trust-remote-code" in err
    assert cli(*index, "--trust-remote-code")[0] == 0
    search = ("search", tmp_path / "index", "w3", "--device", "cpu", "--json")
    code, _, err = cli(*search)
    assert code == 2 and "--trust-remote-code" in err
    code, out, _ = cli(*search, "--trust-remote-code")
    assert code == 0 and json.loads(out)["results"][0]["id"] == "d3"
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"id": "1", "question": "w3", "relevant": ["d3"]}))
    rag = (
        "rag", "--retriever", tmp_path / "index", "--questions", questions, "-k", 3,
        "--device", "cpu", "--json",
    )  # fmt: skip
    code, _, err = cli(*rag)
    assert code == 2 and "--trust-remote-code" in err
    code, out, err = cli(*rag, "--trust-remote-code")
    assert code == 0, err


def test_weights_that_are_pickled_objects_are_not_read(home, tiny_folder, tmp_path):
    import os

    import torch

    class Code:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    shutil.copytree(tiny_folder, tmp_path / "model")
    (tmp_path / "model/model.safetensors").unlink()
    torch.save({"weight": Code()}, tmp_path / "model/pytorch_model.bin")
    with pytest.raises(UserError, match="hold other things than tensors") as caught:
        models.load(str(tmp_path / "model"))
    assert "safetensors" in caught.value.hint and not (tmp_path / "ran").exists()
