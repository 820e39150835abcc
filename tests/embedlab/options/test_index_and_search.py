"""What each option of `embedlab index` and `embedlab search` changes."""

import json
import shutil

import pytest

import embedlab
from embedlab.models import cards
from embedlab.resources import DATA

DOCUMENTS = {"a": "the cell w5", "b": "gene w2 w3 of the cell", "c": "a gene"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    path.write_text(
        "".join(json.dumps({"_id": id, "text": text}) + "\n" for id, text in DOCUMENTS.items())
    )
    return path.parent


@pytest.fixture
def built(ok, corpus, tiny_folder, tmp_path):
    """Build an index under this name:
    what `embedlab index` says, and everything in its manifests.
    """

    def build(name, *options, model=tiny_folder):
        said = ok(
            "index", "--model", model, "--corpus", corpus, "--out", tmp_path / name, *options,
            "--json",
        )  # fmt: skip
        assert said["documents"] == 3 and said["index"] == str(tmp_path / name)
        return "".join(path.read_text() for path in sorted((tmp_path / name).rglob("*.json")))

    return build


@pytest.mark.effect(
    "index build --model",
    "index build --corpus",
    "index build --out",
    "index build --json",
    "index build --index",
)
def test_index(built, ok, refused, corpus, tiny_folder, tmp_path):
    assert "sq8" in built("coded", "--index", "faiss:sq8") and "sq8" not in built("plain")
    assert "nowhere" in refused(
        "index", "--model", tiny_folder, "--corpus", "nowhere", "--out", tmp_path / "x"
    )
    assert "--index is empty" in refused(
        "index", "--model", tiny_folder, "--corpus", corpus, "--out", tmp_path / "x", "--index", ""
    )


@pytest.mark.effect(
    "index build --dtype", "index build --device", "search --dtype", "search --device"
)
def test_dtype_and_device(built, ok, refused, corpus, tiny_folder, tmp_path):
    built("whole", "--dtype", "float32", "--device", "cpu")
    built("half", "--dtype", "bfloat16")

    def best(name, *options):
        return ok("search", tmp_path / name, DOCUMENTS["b"], *options, "--json")["results"][0][
            "score"
        ]

    whole = best("whole", "--dtype", "float32", "--device", "cpu")
    assert whole == pytest.approx(1, abs=1e-6)
    assert best("half", "--dtype", "float32") != whole != best("whole", "--dtype", "bfloat16")
    assert "cuda:99" in refused("search", tmp_path / "whole", "gene", "--device", "cuda:99")
    assert "cuda:99" in refused(
        "index",
        "--model",
        tiny_folder,
        "--corpus",
        corpus,
        "--out",
        tmp_path / "x",
        "--device",
        "cuda:99",
    )


@pytest.mark.effect("index build --instruction")
def test_instruction(built, ok, refused, corpus, tiny_folder, tmp_path, monkeypatch):
    (tmp_path / "data/models").mkdir(parents=True)
    card = (
        f'method = "sentence-transformers"\nsource = "{tiny_folder}"\ninstruction ='
        ' "{instruction} : "\n'
    )
    (tmp_path / "data/models/told.toml").write_text(card)
    monkeypatch.setattr(cards, "DATA", tmp_path / "data")
    cards.cards.cache_clear()
    try:
        assert "w7 w8" in built("told", "--instruction", "w7 w8", model="told")
        assert "w7 w8" not in built("untold", model="told")
        scores = [
            ok("search", tmp_path / name, "gene w2", "--json")["results"][0]["score"]
            for name in ("told", "untold")
        ]
        assert scores[0] != scores[1]
    finally:
        monkeypatch.setattr(cards, "DATA", DATA)
        cards.cards.cache_clear()
    err = refused(
        "index", "--model", tiny_folder, "--corpus", corpus, "--out", tmp_path / "x",
        "--instruction", "w7",
    )  # fmt: skip
    assert "has no template" in err


@pytest.mark.effect("search -k", "search --compare", "search --json")
def test_search(built, ok, tmp_path):
    built("one")
    built("two", "--index", "faiss:flat")
    assert len(ok("search", tmp_path / "one", "gene", "-k", 2, "--json")["results"]) == 2
    assert len(ok("search", tmp_path / "one", "gene", "--json")["results"]) == 3
    assert (
        len(
            ok("search", "--compare", tmp_path / "one", tmp_path / "two", "gene", "--json")[
                "indexes"
            ]
        )
        == 2
    )


@pytest.fixture
def remote(tiny_folder, tmp_path):
    """A model folder with a module of its own code, which says where it ran."""
    folder = shutil.copytree(tiny_folder, tmp_path / "remote")
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": len(modules), "name": "own", "path": "own", "type": "own_module.Own"})
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "own").mkdir()
    (folder / "own/config.json").write_text("{}")
    (folder / "own_module.py").write_text(
        "from pathlib import Path\nfrom sentence_transformers.base.modules import"
        f" Module\nPath({str(tmp_path / 'ran')!r}).touch()\n\n\nclass Own(Module):\n    config_keys"
        " = []\n\n    def forward(self, features):\n        return features\n\n    def save(self,"
        " path, *arguments, **named):\n        pass\n\n    @classmethod\n    def load(cls,"
        " *arguments, **named):\n        return cls()\n"
    )
    return folder


@pytest.mark.effect(
    "eval --trust-remote-code",
    "index build --trust-remote-code",
    "search --trust-remote-code",
    "rag --trust-remote-code",
    "serve --trust-remote-code",
)
def test_trust_remote_code(ok, refused, corner, corpus, remote, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: PTH123, SIM115
    index = ("index", "--model", remote, "--corpus", corpus, "--out", tmp_path / "trusted")
    (tmp_path / "questions.jsonl").write_text('{"id": "1", "question": "gene"}\n')
    rag = (
        "rag",
        "--retriever",
        tmp_path / "trusted",
        "--questions",
        tmp_path / "questions.jsonl",
        "--k",
        1,
    )
    lines = (
        ("eval", "--model", remote, "--task", corner),
        index,
        ("search", tmp_path / "trusted", "gene"),
        rag,
        ("serve", tmp_path / "trusted", "--stdio"),  # there is nothing on standard input: it ends
    )
    for line in lines:
        (tmp_path / "ran").unlink(missing_ok=True)
        assert "--trust-remote-code" in refused(*line) and not (tmp_path / "ran").exists()
        ok(*line, "--trust-remote-code", *(["--json"] if line[0] != "serve" else []))


def test_a_model_that_no_index_asks_for_is_refused(built, ok, refused, tiny_folder, tmp_path):
    built("dense")
    built("words", model="bm25")
    query = ("search", tmp_path / "dense", "gene")
    assert "No index here was built with bm25" in refused(*query, "--model", "bm25")
    assert ok(*query, "--model", tiny_folder, "--json") == ok(*query, "--json")
    assert "none has a model" in refused(
        "search", tmp_path / "words", "gene", "--model", tiny_folder
    )
    with pytest.raises(embedlab.UserError, match="built with bm25"):
        embedlab.Index.load(tmp_path / "dense", "bm25")
