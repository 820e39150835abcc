import json
import sys

import pytest

import retrievers
from embedlab import corpus_index
from embedlab.cli import run
from embedlab.errors import UserError
from retrievers import RetrieverError, folder
from tests import ready

DOCUMENTS = {"a": ("w1", "the cell w5"), "b": ("", "gene w2 w3 of the cell"), "c": ("w9", "a gene")}


@pytest.fixture
def embedlab(capsys, monkeypatch, home):
    """Runs a command in this process: exit code, standard output, standard error."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["embedlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run()
        return (ended.value.code or 0, *capsys.readouterr())

    return command


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    lines = [
        json.dumps({"_id": name, "title": title, "text": text})
        for name, (title, text) in DOCUMENTS.items()
    ]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_an_index_is_built_and_searched(corpus, tiny_folder, tmp_path, embedlab):
    dense, bm25 = tmp_path / "dense", tmp_path / "bm25"
    model = ["--dtype", "float32", "--device", "cpu"]
    code, out, _ = embedlab(
        "index", "--model", tiny_folder, "--corpus", corpus, "--out", dense, *model, "--json"
    )
    assert code == 0 and json.loads(out)["documents"] == 3
    assert embedlab("index", "--model", "bm25", "--corpus", corpus, "--out", bm25)[0] == 0

    _, out, _ = embedlab("search", dense, "gene w2 w3 of the cell", "-k", 2, *model, "--json")
    best, second = json.loads(out)["results"]
    assert (
        best["id"] == "b"
        and best["score"] == pytest.approx(1, abs=1e-5)
        and second["score"] < 0.999
    )
    assert [best["text"][start:end] for start, end in best["highlights"]] == ["gene", "the", "cell"]

    code, out, _ = embedlab("search", bm25, "gene cell")
    assert code == 0 and "gene w2 w3 of the cell" in out
    code, out, _ = embedlab("search", "--compare", bm25, dense, "gene cell", *model)
    assert code == 0 and "there: " in out
    _, out, _ = embedlab("search", "--compare", bm25, dense, "gene cell", *model, "--json")
    found = json.loads(out)["indexes"]
    assert all(
        {result["id"] for result in found[str(path)]} == {"a", "b", "c"} for path in (bm25, dense)
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search", "nowhere", "query"], "no index at nowhere"),
        (["search", "query"], "--compare"),
        (["search", "{corpus}", ""], "The query is empty"),
        (["index", "--model", "bm25", "--corpus", "nowhere", "--out", "x"], "no corpus at nowhere"),
        (
            ["index", "--model", "bm25", "--corpus", "{corpus}", "--out", "{corpus}"],
            "is not an index",
        ),
        (
            [
                "index",
                "--model",
                "bm25",
                "--corpus",
                "{corpus}",
                "--out",
                "x",
                "--index",
                "faiss:flat",
            ],
            "takes no texts of bm25",
        ),
        (["index", "--model", "bm52", "--corpus", "{corpus}", "--out", "x"], "bm25"),
    ],
)
def test_errors_are_one_message(arguments, words, corpus, tmp_path, embedlab, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = embedlab(*(word.format(corpus=corpus) for word in arguments))
    assert code == 2 and words in err and "Traceback" not in err and not out
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"_id": "a", "text": "again"}', "corpus.jsonl:4 gives the id 'a' a second time"),
        ('{"_id": "", "text": "x"}', 'corpus.jsonl:4: "_id" is "", which is no id'),
        ('{"_id": ["d"], "text": "x"}', 'corpus.jsonl:4: "_id" is ["d"], which is no id'),
        ('{"_id": "d"}', "corpus.jsonl:4 has no text"),
        ('{"_id": "d", "text"', "corpus.jsonl:4 is not JSON"),
    ],
)
def test_bad_documents_are_named(line, words, corpus, tmp_path, embedlab):
    (tmp_path / "corpus.jsonl").write_text((corpus / "corpus.jsonl").read_text() + line + "\n")
    code, _, err = embedlab(
        "index", "--model", "bm25", "--corpus", tmp_path, "--out", tmp_path / "x"
    )
    assert code == 2 and words in err and not (tmp_path / "x").exists()


def test_indexes_that_cannot_be_searched(corpus, tmp_path, embedlab, tiny_folder):
    path = tmp_path / "index"
    model = ["--dtype", "float32", "--device", "cpu"]
    assert (
        embedlab("index", "--model", tiny_folder, "--corpus", corpus, "--out", path, *model)[0] == 0
    )
    for k, words in (
        (4, "-k is 4, and the index holds 3 documents"),
        (0, "greater than or equal to 1"),
    ):
        code, out, err = embedlab("search", path, "gene", "-k", k, *model)
        assert code == 2 and words in err and not out
    next(path.glob("data-*/texts.bin")).write_bytes(b"cut")
    for command in (
        ("search", path, "gene"),
        ("rag", "--retriever", path, "--questions", corpus / "questions.jsonl"),
    ):
        (corpus / "questions.jsonl").write_text('{"id": "1", "question": "gene"}\n')
        code, _, err = embedlab(*command, *model)
        assert code == 2 and "half-written: texts.bin" in err and "Traceback" not in err


def test_a_model_that_gives_no_numbers(corpus, tmp_path, embedlab, tiny_folder):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_folder), device="cpu")
    for parameter in model.parameters():
        parameter.data.fill_(float("nan"))
    model.save(str(tmp_path / "broken"))
    out = tmp_path / "index"
    options = ["--dtype", "float32", "--device", "cpu"]
    code, _, err = embedlab(
        "index", "--model", tmp_path / "broken", "--corpus", corpus, "--out", out, *options
    )
    assert code == 2 and "holds NaN" in err and not out.exists()


def test_a_killed_index_is_none(tmp_path, tiny_folder):
    """Killed while it writes, in the middle of a save: no index, and the next one sweeps up."""
    lines = [json.dumps({"_id": f"d{n}", "text": f"w{n % 200} w{n % 7}"}) for n in range(300)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    command = [
        "index", "--model", tiny_folder, "--corpus", tmp_path, "--out", tmp_path / "index",
        "--dtype", "float32",
    ]  # fmt: skip
    code = (
        "import numpy, sys, time\nfrom retrievers.texts import Texts\nsave = Texts.save\ndef"
        " slow(self, folder):\n    save(self, folder)\n    print('half', flush=True)\n   "
        " time.sleep(60)\nTexts.save = slow\nfrom embedlab.cli import run\nrun()"
    )
    victim = ready.Process("-c", code, *command)
    assert victim.stdout.readline() == "half\n"
    victim.kill()
    victim.wait()
    with pytest.raises(RetrieverError, match="half-written"):
        folder.read_manifest(tmp_path / "index")
    folder.write(tmp_path / "index", {}, lambda target: None)
    assert len(list(tmp_path.glob("index/data-*"))) == 1


def test_another_model_under_the_name_of_an_index_is_refused(
    corpus, tmp_path, embedlab, tiny_folder
):
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_folder, tmp_path / "model")
    options = ["--dtype", "float32", "--device", "cpu"]
    path = tmp_path / "index"
    assert (
        embedlab(
            "index", "--model", tmp_path / "model", "--corpus", corpus, "--out", path, *options
        )[0]
        == 0
    )
    weights = load_file(tmp_path / "model/model.safetensors")
    weights["embeddings.word_embeddings.weight"] *= 2
    save_file(weights, tmp_path / "model/model.safetensors", metadata={"format": "pt"})
    code, _, err = embedlab("search", path, "gene", *options)
    assert code == 2 and "was made with the encoder" in err


@pytest.mark.effect("search --model", "rag --model")
def test_an_index_never_runs_code_that_the_user_did_not_name(
    corpus, tmp_path, embedlab, tiny_folder, monkeypatch
):
    """A model that is a file of code is written into the index;
    only the user's own word lets it run again.
    """
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from pathlib import Path\nPath(__file__).with_name('ran').touch()\nfrom"
        " sentence_transformers import SentenceTransformer\ndef Mine(device, dtype):\n    return"
        f" SentenceTransformer({str(tiny_folder)!r}, device='cpu')\n"
    )
    name, path, options = (
        f"{plugin}:Mine",
        tmp_path / "index",
        ["--dtype", "float32", "--device", "cpu"],
    )
    assert embedlab("index", "--model", name, "--corpus", corpus, "--out", path, *options)[0] == 0
    monkeypatch.chdir(tmp_path)
    (corpus / "questions.jsonl").write_text('{"id": "1", "question": "gene"}\n')
    rag = (
        "rag", "--retriever", path, "--questions", corpus / "questions.jsonl", "-k", 1,
        "--db", tmp_path / "r.duckdb",
    )  # fmt: skip
    for command in (("search", path, "gene"), rag):
        (tmp_path / "ran").unlink()
        code, _, err = embedlab(*command, *options)
        assert code == 2 and f"--model {name}" in err and not (tmp_path / "ran").exists()
        assert (
            embedlab(*command, "--model", "other.py:Mine", *options)[0] == 2
            and not (tmp_path / "ran").exists()
        )
        code, _, err = embedlab(*command, "--model", name, *options)
        assert code == 0 and (tmp_path / "ran").exists(), err
    with pytest.raises(UserError, match="asks to run a file of code"):  # what the dashboard calls
        retrievers.load(path, corpus_index.recorded_encoder)
