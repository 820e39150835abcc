"""`embedlab index add` and `index delete`: what they change, and what is there when they stop."""

import json
import os
import signal
import sys

import numpy as np
import pytest

import embedlab
from embedlab import index_changes
from retrievers import Encoded, RetrieverError, load, make
from retrievers.pieces import Pieces
from retrievers.pipelines.by_chunks import Chunked

DOCUMENTS = {
    "a": {"text": "the cell w5", "year": 2001},
    "b": {"title": "w7", "text": "gene w2 w3 of the cell"},
    "c": {"text": "a gene"},
}
MORE = {"c": {"text": "a gene w9"}, "d": {"text": "cell w9 w5", "year": 2020}}


def write(path, documents):
    path.mkdir(exist_ok=True)
    lines = [json.dumps({"_id": id, **document}) for id, document in documents.items()]
    (path / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def ok(cli, home):
    def call(*arguments):
        code, out, err = cli(*arguments)
        assert code == 0, err
        return json.loads(out)

    return call


@pytest.fixture
def folders(tmp_path):
    """Folders of documents: the first, further ones, and all that are there in the end."""
    return [
        write(tmp_path / name, documents)
        for name, documents in (("one", DOCUMENTS), ("more", MORE), ("all", DOCUMENTS | MORE))
    ]


@pytest.mark.effect(
    "index add --docs", "index add --replace", "index add --json", "index add --device",
    "index add --dtype", "index add --trust-remote-code", "index delete --json",
)  # fmt: skip
def test_a_changed_index_answers_as_a_fresh_one(folders, tmp_path, tiny_folder, ok, cli):
    one, more, everything = folders
    model = f"rrf(bm25, {tiny_folder})"
    how = ("--device", "cpu", "--dtype", "float32")
    index, fresh = tmp_path / "index", tmp_path / "fresh"
    ok("index", "--model", model, "--docs", one, "--out", index, *how, "--json")
    ok("index", "--model", model, "--docs", everything, "--out", fresh, *how, "--json")
    code, _, err = cli("index", "add", index, "--docs", more)
    assert code == 2 and "1 of the 2 documents are in" in err and "--replace" in err
    said = ok(
        "index", "add", index, "--docs", more, "--replace", *how, "--trust-remote-code", "--json"
    )
    assert {name: said[name] for name in ("documents", "added", "replaced", "unchanged")} == {
        "documents": 4, "added": 1, "replaced": 1, "unchanged": 0,
    }  # fmt: skip
    again = ok("index", "add", index, everything, "--replace", "--json")
    assert again["unchanged"] == 4 and not again["added"] + again["replaced"]

    def found(path, query):
        results = ok("search", path, query, "-k", 3, *how, "--json")["results"]
        return [(result["id"], result["text"], round(result["score"], 6)) for result in results]

    ok("index", "delete", fresh, "a", "--json")
    assert ok("index", "delete", index, "a", "--json")["deleted"] == 1
    for query in ("w9 cell", "gene", "w5"):
        assert found(index, query) == found(fresh, query)
    assert "bfloat16" in cli("index", "add", index, more, "--dtype", "float64")[2]


def test_what_differs_in_its_metadata_alone_is_replaced(tmp_path, ok):
    """Also where Python finds 1, 1.0 and true equal, which a filter tells apart."""
    index, document = tmp_path / "index", {"text": "cell", "flag": 1, "x": 2}
    ok("index", "--model", "bm25", "--docs", write(tmp_path / "1", {"a": document}),
       "--out", index, "--json")  # fmt: skip
    for number, (flag, replaced) in enumerate(((1, 0), (True, 1), (True, 0), (1, 1))):
        more = write(tmp_path / f"more{number}", {"a": {"x": 2, "flag": flag, "text": "cell"}})
        assert ok("index", "add", index, more, "--replace", "--json")["replaced"] == replaced
        where = f"flag = {json.dumps(flag)}"
        assert [hit.id for hit in embedlab.Index.load(index).search("cell", where=where)] == ["a"]


@pytest.mark.effect(
    "index add --id", "index add --text", "index add --title", "index add --metadata",
    "index add --model",
)  # fmt: skip
def test_documents_are_read_as_for_a_new_index(folders, tmp_path, ok, cli):
    index = tmp_path / "index"
    ok("index", "--model", "bm25", "--docs", folders[0], "--out", index, "--json")
    table = tmp_path / "table.csv"
    table.write_text("key,name,body,year,size\nx,Bones,break,1987,9\n,,,1,1\n")
    said = ok(
        "index", "add", index, table, "--id", "key", "--text", "body", "--title", "name",
        "--metadata", "year", "--json",
    )  # fmt: skip
    assert said["added"] == 1 and said["unread"][0]["place"] == "table.csv#2"
    best = embedlab.Index.load(index).search("bones", 1)[0]
    assert best[0] == "x" and best.text == "Bones break"
    assert best.metadata == {"title": "Bones", "year": 1987}
    err = cli("index", "add", index, folders[1], "--model", "base-mean")[2]
    assert "No index here was built with base-mean" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add", "{index}"), "neither FOLDER nor --docs is given"),
        (("add", "{index}", "{docs}", "--docs", "{docs}"), "FOLDER and --docs both"),
        (("add", "nowhere", "{docs}"), "There is no index at nowhere"),
        (("delete", "nowhere", "a"), "There is no index at nowhere"),
        (("delete", "{index}", "x", "a"), "1 of the ids are not in the index, such as 'x'"),
        (("delete", "{index}", "a", "b", "c"), "No document would be left"),
        (("delete", "{index}"), "Missing argument"),
    ],
)
def test_errors_are_one_message_and_change_nothing(words, message, folders, tmp_path, ok, cli):
    index = tmp_path / "index"
    ok("index", "--model", "bm25", "--docs", folders[0], "--out", index, "--json")
    before = (index / "index.json").read_bytes()
    code, out, err = cli("index", *(word.format(index=index, docs=folders[0]) for word in words))
    assert code == 2 and message in err and "Traceback" not in err and not out
    assert (index / "index.json").read_bytes() == before


CHUNKED = (
    ("bm25", "tokens:size=2,over=mean", "lucene"),
    ("tiny", "tokens:size=5", "torch"),
    ("tiny", "tokens:size=5,over=mean", "faiss:flat"),
    ("tiny", "tokens:size=5,late=yes,parent=document", "torch"),
)


@pytest.mark.parametrize(("model", "chunk", "spec"), CHUNKED)
def test_an_index_of_chunks_too(model, chunk, spec, folders, tiny_folder, tmp_path, ok, home):
    index, anew = tmp_path / "index", tmp_path / "anew"
    how = ("--model", tiny_folder if model == "tiny" else model, "--chunk", chunk, "--index", spec)
    ok("index", folders[0], *how, "--out", index, "--json")
    said = ok("index", "add", index, folders[1], "--replace", "--json")
    assert said["added"] and said["replaced"] and said["documents"] == 4
    said = ok("index", "delete", index, "a", "--json")
    assert (said["deleted"], said["documents"]) == (1, 3)
    wanted = {id: each for id, each in (DOCUMENTS | MORE).items() if id != "a"}
    ok("index", write(tmp_path / "wanted", wanted), *how, "--out", anew, "--json")
    for query in ("gene", "w9 w4 of the cell", "c"):
        got, fresh = (
            ok("search", folder, query, "-k", 3, "--json")["results"] for folder in (index, anew)
        )
        for one, other in zip(got, fresh, strict=True):
            assert one.pop("score") == pytest.approx(other.pop("score"), abs=1e-6)
            assert one == other
    loaded = embedlab.Index.load(index)
    before = [hit.id for hit in loaded.search("gene", 3)]
    loaded.add({"n": "gene " * 9, "m": {"text": "gene", "year": 3}})
    assert len(loaded) == 5 and loaded.search("gene", 5, where="year = 3")[0].id == "m"
    loaded.delete(["n", "m"]).save(index)
    assert [hit.id for hit in embedlab.Index.load(index).search("gene", 3)] == before
    with pytest.raises(RetrieverError, match="indexed already"):
        loaded.add({"b": "x"})
    with pytest.raises(RetrieverError, match="not in the index, such as 'x'"):
        loaded.delete(["b", "x"])


def test_in_python(tmp_path):
    index = embedlab.Index.build(DOCUMENTS, "bm25")
    index.add({"d": MORE["d"]}).replace({"c": MORE["c"]}).delete(["a"]).save(tmp_path / "index")
    loaded = embedlab.Index.load(tmp_path / "index").replace({"e": "w9 w9"})
    wanted = embedlab.Index.build({"b": DOCUMENTS["b"], **MORE, "e": "w9 w9"}, "bm25")
    assert loaded.search("w9 gene", 5) == wanted.search("w9 gene", 5)
    assert loaded.search("w9", 1)[0].id == "e" and len(loaded) == 4
    with pytest.raises(RetrieverError, match="indexed already"):
        loaded.add(write(tmp_path / "more", MORE))


def test_a_deletion_needs_no_model(tmp_path, tiny_folder):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_folder), device="cpu")
    embedlab.Index.build(DOCUMENTS, model).save(tmp_path / "index")
    before = json.loads((tmp_path / "index/index.json").read_text())
    index_changes.delete(tmp_path / "index", ["b"])
    after = json.loads((tmp_path / "index/index.json").read_text())
    assert (after["encoder"], after["model"]) == (before["encoder"], before["model"])
    assert len(embedlab.Index.load(tmp_path / "index", model)) == 2


_WRITES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunks"])
def test_killed_at_any_write_the_old_or_the_new_index_is_there(chunked, tmp_path):
    """The process is killed before its first write to the disk, its third, and so on."""
    built = embedlab.Index.build(DOCUMENTS, _lengths).retriever
    if chunked:
        built = Chunked(Encoded(built.encoder, "torch"), _halves)
        built.index(list(DOCUMENTS), list(DOCUMENTS.values()))
    built.save(tmp_path / "index")
    point, seen = -1, set()
    while True:
        point += 5 if chunked else 2
        child = os.fork()
        if not child:
            _killed_at(point, lambda: index_changes.delete(tmp_path / "index", ["b"]))
        _, status = os.waitpid(child, 0)
        index = embedlab.Index.load(tmp_path / "index", _lengths)
        found = {index.retriever.text(row) for row in range(len(index))}
        assert len(found) in (2, 3) and len(found) == len(index.search("x", 9))
        assert [hit.id for hit in index.search("x", where="year > 2000")] == ["a"]
        seen.add(len(found))
        if os.WIFEXITED(status):
            break
        if len(found) == 2:
            if chunked:
                index.retriever.cut = _halves
            index.add({"b": DOCUMENTS["b"]}).save(tmp_path / "index")
    assert point > 10 and seen == {2, 3}
    assert len(list(tmp_path.glob("index/data-*"))) == 1


def _halves(texts):
    pieces = [half for text in texts for half in (text[: len(text) // 2], text[len(text) // 2 :])]
    return Pieces(pieces, [(0, 1)] * len(pieces), np.arange(0, len(pieces) + 1, 2))


def _lengths(texts):
    return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def _killed_at(point, work):
    counted = iter(range(1, point))

    def hook(event, arguments):
        writes = (
            event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        )
        if (writes or event in _WRITES) and next(counted, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    work()
    os._exit(0)


def test_a_second_change_waits_for_the_first(tmp_path):
    from filelock import FileLock, Timeout

    embedlab.Index.build(DOCUMENTS, "bm25").save(tmp_path / "index")
    with index_changes._held(tmp_path / "index"), pytest.raises(Timeout):
        FileLock(tmp_path / "index/.lock", timeout=0).acquire()
    FileLock(tmp_path / "index/.lock", timeout=0).acquire().lock.release()


def test_an_index_of_vectors_alone_is_deleted_from_too(tmp_path):
    import numpy as np

    make("torch").index(["a", "b"], np.eye(2, dtype=np.float32)).save(tmp_path / "index")
    assert index_changes.delete(tmp_path / "index", ["a"]).documents == 1
    assert load(tmp_path / "index").ids == ["b"] and not isinstance(
        load(tmp_path / "index"), Encoded
    )
