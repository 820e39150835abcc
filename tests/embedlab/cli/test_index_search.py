import json
import sys

import pytest

from embedlab.cli import run

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
    lines = [json.dumps({"_id": name, "title": title, "text": text}) for name, (title, text) in DOCUMENTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_an_index_is_built_and_searched(corpus, tiny_folder, tmp_path, embedlab):
    dense, bm25 = tmp_path / "dense", tmp_path / "bm25"
    model = ["--dtype", "float32", "--device", "cpu"]
    code, out, _ = embedlab("index", "--model", tiny_folder, "--corpus", corpus, "--out", dense, *model, "--json")
    assert code == 0 and json.loads(out)["documents"] == 3
    assert embedlab("index", "--model", "bm25", "--corpus", corpus, "--out", bm25)[0] == 0

    _, out, _ = embedlab("search", dense, "gene w2 w3 of the cell", "-k", 2, *model, "--json")
    best, second = json.loads(out)["results"]
    assert best["id"] == "b" and best["score"] == pytest.approx(1, abs=1e-5) and second["score"] < 0.999
    assert [best["text"][start:end] for start, end in best["highlights"]] == ["gene", "the", "cell"]

    code, out, _ = embedlab("search", bm25, "gene cell")
    assert code == 0 and "gene w2 w3 of the cell" in out
    code, out, _ = embedlab("search", "--compare", bm25, dense, "gene cell", *model)
    assert code == 0 and "there: " in out
    _, out, _ = embedlab("search", "--compare", bm25, dense, "gene cell", *model, "--json")
    found = json.loads(out)["indexes"]
    assert all({result["id"] for result in found[str(path)]} == {"a", "b", "c"} for path in (bm25, dense))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search", "nowhere", "query"], "no index at nowhere"),
        (["search", "query"], "--compare"),
        (["index", "--model", "bm25", "--corpus", "nowhere", "--out", "x"], "no corpus at nowhere"),
        (["index", "--model", "bm25", "--corpus", "{corpus}", "--out", "{corpus}"], "is not an index"),
        (
            ["index", "--model", "bm25", "--corpus", "{corpus}", "--out", "x", "--index", "faiss:flat"],
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
