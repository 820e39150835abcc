"""Identity is the content: whatever changes a vector changes the model's identity,
and a second look does not.
"""

import json
import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from embedlab import models
from embedlab.models.files import identity, source_code


@pytest.fixture
def folder(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "work")
    return tmp_path / "work"


def scale(folder: Path, factor: float = 1.5) -> None:
    """Other weights of the same names, shapes and size."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    (name,) = (key for key in tensors if "word_embeddings" in key)
    tensors[name] = tensors[name].flip(0).contiguous() * factor
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def of(name) -> str:
    return models.load(str(name), device="cpu", dtype="float32").identity


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


@pytest.fixture
def plug(folder, tmp_path):
    """A plugin that builds its model from the folder, through a module of its own."""
    write(tmp_path / "helping.py", "FACTOR = 2.0\ndef made(path, **how):\n    return path\n")
    return write(
        tmp_path / "plug.py",
        f"""
        from sentence_transformers import SentenceTransformer

        class Mine:
            def __new__(cls, device=None, dtype=None):
                from helping import FACTOR, made

                folder, options = made({str(folder)!r}), {{"dtype": dtype}}
                model = SentenceTransformer(folder, device=device, model_kwargs=options)
                model.factor = FACTOR
                return model
        """,
    )


@pytest.fixture
def fresh_modules(tmp_path, monkeypatch):
    """The plugin's own modules can be imported, and are read anew each time."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def forget():
        for name in [
            name for name in sys.modules if name.startswith(("helping", "embedlab_file_"))
        ]:
            del sys.modules[name]

    yield forget
    forget()


def test_a_plugins_identity_is_what_it_loads(home, folder, plug, fresh_modules):
    name = f"{plug}:Mine"
    first = of(name)
    assert of(name) == first
    scale(folder)
    assert (changed := of(name)) != first
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "hidden_act": "relu"}))
    assert (activation := of(name)) != changed
    tokenizer = folder / "tokenizer.json"
    content = json.loads(tokenizer.read_text())
    content["normalizer"] = {"type": "Lowercase"}
    tokenizer.write_text(json.dumps(content))
    assert (lower := of(name)) != activation
    write(plug.parent / "helping.py", "FACTOR = 3.0\ndef made(path, **how):\n    return path\n")
    fresh_modules()
    assert (helped := of(name)) != lower
    plug.write_text(plug.read_text() + "# a word more\n")
    assert of(name) != helped


def test_a_changed_plugin_is_encoded_again(cli, home, folder, plug, fresh_modules, tmp_path):
    task = tmp_path / "beir"
    write(
        task / "corpus.jsonl",
        "".join(json.dumps({"_id": f"d{n}", "text": f"w{n} w{n + 1}"}) + "\n" for n in range(9)),
    )
    write(task / "queries.jsonl", json.dumps({"_id": "q", "text": "w3"}))
    write(task / "qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\td3\t1\n")

    def run() -> dict:
        code, out, _ = cli(
            "eval", "--model", f"{plug}:Mine", "--task", task, "--device", "cpu", "--json"
        )
        assert code == 0
        return json.loads(out)["runs"][0]["costs"]

    assert run()["encoded_now_texts"] == 10
    assert run()["encoded_now_texts"] == 0
    scale(folder)
    assert run()["encoded_now_texts"] == 10


def test_an_adapters_identity_is_its_bases_too(home, folder, tmp_path):
    peft = pytest.importorskip("peft", reason="needs the extra train")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    model.add_adapter(
        peft.LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False)
    )
    model.save(str(tmp_path / "adapter"))
    config = tmp_path / "adapter" / "adapter_config.json"
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": str(folder)})
    )
    first = models.load(str(tmp_path / "adapter"), device="cpu", dtype="float32")
    before = first.encoder.encode(["w1 w2"])
    assert of(tmp_path / "adapter") == first.identity
    scale(folder)
    again = models.load(str(tmp_path / "adapter"), device="cpu", dtype="float32")
    assert again.identity != first.identity
    assert abs(again.encoder.encode(["w1 w2"]) - before).max() > 1e-3


CHANGES = {
    "code": ("more.py", "VALUE = 1", "VALUE = 2"),
    "a template": ("chat_template.jinja", "{{ text }}", "{{ text }}!"),
    "a module's weights": ("2_Dense/weights.bin", "1", "2"),
    "a hub's pinned code": (
        "sub/config.json",
        '{"auto_map": {"AutoModel": "x--y.Z"}}',
        '{"auto_map": {}}',
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_every_file_that_may_be_read_counts(folder, kind):
    name, before, after = CHANGES[kind]
    write(folder / name, before)
    first = identity.of_folder(folder)
    assert identity.of_folder(folder) == first
    write(folder / name, after)
    assert identity.of_folder(folder) != first


def test_a_tokenizer_of_another_folder_counts(home, folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).rename(tmp_path / "elsewhere" / name)
    config = folder / "sentence_bert_config.json"
    elsewhere = {"tokenizer_name_or_path": str(tmp_path / "elsewhere")}
    config.write_text(json.dumps({**json.loads(config.read_text()), **elsewhere}))
    first = of(folder)
    content = json.loads((tmp_path / "elsewhere/tokenizer.json").read_text())
    (tmp_path / "elsewhere/tokenizer.json").write_text(
        json.dumps({**content, "normalizer": {"type": "Lowercase"}})
    )
    assert of(folder) != first


@pytest.mark.parametrize("content", ["[{", '{"a": 1}', "[1]", "5", "[]"])
def test_a_list_of_modules_that_is_none_has_an_identity_too(folder, content):
    (folder / "modules.json").write_text(content)
    assert identity.of_folder(folder)


def test_where_a_file_lies_counts_and_what_describes_a_model_does_not(folder):
    write(folder / "1_A/config.json", "{}")
    first = identity.of_folder(folder)
    write(folder / "README.md", "Words.")
    write(folder / ".cache/x.json", "{}")
    assert identity.of_folder(folder) == first
    (folder / "1_A").rename(folder / "1_B")
    assert identity.of_folder(folder) != first


def test_a_folder_that_is_linked_counts(folder, tmp_path):
    write(tmp_path / "elsewhere/config.json", "1")
    (folder / "3_Linked").symlink_to(tmp_path / "elsewhere")
    first = identity.of_folder(folder)
    write(tmp_path / "elsewhere/config.json", "2")
    assert identity.of_folder(folder) != first


def test_modules_of_installed_packages_count(folder, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    write(tmp_path / "packaged/__init__.py", "")
    write(tmp_path / "packaged/inner.py", "VALUE = 1")
    module = write(tmp_path / "packaged/modules.py", "from .inner import VALUE\nclass Mine: ...\n")
    (folder / "modules.json").write_text(json.dumps([{"type": "packaged.modules.Mine"}]))
    first = identity.of_folder(folder)
    write(tmp_path / "packaged/inner.py", "VALUE = 2")
    assert (second := identity.of_folder(folder)) != first
    module.write_text(module.read_text() + "# more\n")
    assert identity.of_folder(folder) != second
    (folder / "modules.json").unlink()
    write(
        folder / "router_config.json",
        json.dumps({"types": {"query_0_Mine": "packaged.modules.Mine"}}),
    )
    first = identity.of_folder(folder)
    write(tmp_path / "packaged/inner.py", "VALUE = 3")
    assert identity.of_folder(folder) != first
    assert "packaged" not in sys.modules  # reading is enough


def test_code_is_followed_into_functions_but_not_into_libraries(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    write(tmp_path / "deep.py", "VALUE = 1")
    file = write(
        tmp_path / "top.py",
        "import torch\nimport json\ndef late():\n    import deep\n    from numpy import zeros\n",
    )
    first = source_code.of_code(file)
    write(tmp_path / "deep.py", "VALUE = 2")
    assert source_code.of_code(file) != first


def test_our_own_methods_count_by_their_code_and_stock_models_need_none():
    from embedlab.encoders.methods import METHODS
    from embedlab.models.files.source_code import of_method

    codes = {name: of_method(name) for name in METHODS}
    assert codes.pop("sentence-transformers") == ""
    assert all(codes.values()) and len(set(codes.values())) == len(codes)
