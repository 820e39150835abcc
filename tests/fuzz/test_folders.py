"""BEIR folders, files of questions and results to import,
with one thing in them other than it should be.
"""

import json
import shutil

import pytest
from command_line import run
from hostile import damaged, examples, with_another_value, words
from hypothesis import given
from hypothesis import strategies as st

CORPUS = [
    {"_id": f"d{n}", "title": f"w{n}", "text": f"w{n} w{n + 1} w{2 * n} w{40 - n}"}
    for n in range(12)
]
QUERIES = [{"_id": f"q{n}", "text": f"w{n + 1} w{2 * n}"} for n in range(5)]
QRELS = [f"q{n}\td{n}\t1" for n in range(5)]


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def files() -> dict[str, bytes]:
    return {
        "corpus.jsonl": lines(CORPUS).encode(),
        "queries.jsonl": lines(QUERIES).encode(),
        "qrels/test.tsv": (
            ("query-id\tcorpus-id\tscore\n" + "".join(f"{line}\n" for line in QRELS)).encode()
        ),
    }


def write(folder, content: dict[str, bytes]):
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@st.composite
def harmed(draw):
    """The folder's files, one of them harmed:
    in its bytes, in a value of a line, in the order or number of lines.
    """
    content = files()
    name = draw(st.sampled_from(sorted(content)))
    rows = content[name].decode().splitlines()
    place = draw(st.integers(0, len(rows) - 1))
    kind = draw(st.sampled_from(["bytes", "value", "value", "line"]))
    if kind == "bytes":
        content[name] = draw(damaged(content[name]))
        return content
    if kind == "line":
        rows.insert(
            draw(st.integers(0, len(rows))),
            draw(st.sampled_from([rows[place], "", "\t\t", "x", "\ufeff"])),
        )
    elif name.endswith("jsonl"):
        rows[place] = draw(with_another_value(json.loads(rows[place])))
    else:
        cells = rows[place].split("\t")
        cells[draw(st.integers(0, 2))] = draw(words)
        rows[place] = "\t".join(cells)
    content[name] = "".join(f"{row}\n" for row in rows).encode("utf-8", "surrogatepass")
    return content


@pytest.fixture(scope="module")
def measured(tiny_folder, tmp_path_factory):
    """content of a BEIR folder -> the outcome of evaluating it, and its run, if any."""
    place = tmp_path_factory.mktemp("folders")

    def measure(content, *more):
        folder = write(place / "corner", content)
        outcome = run(
            "eval", "--model", tiny_folder, "--task", folder, "--index", "torch", "--device", "cpu",
            "--json", *more,
        )  # fmt: skip
        return outcome, outcome.json["runs"][0] if outcome.code == 0 else None

    measure.clean = measure(files())[1]
    return measure


@examples(6)
@given(content=harmed())
def test_a_harmed_folder_is_refused_or_another_task(measured, content):
    clean, (outcome, found) = measured.clean, measured(content)
    if outcome.code == 0:
        assert 0 <= found["main_score"] <= 1
        same = {name: data.split() for name, data in content.items()} == {
            name: data.split() for name, data in files().items()
        }
        assert found["task"] != clean["task"] or (same and found["scores"] == clean["scores"])


@st.composite
def rewritten(draw):
    """The folder's files in another form that says the same."""
    corpus, queries, qrels = (
        draw(st.permutations(CORPUS)),
        draw(st.permutations(QUERIES)),
        draw(st.permutations(QRELS)),
    )
    form = {
        "ensure_ascii": draw(st.booleans()),
        "separators": draw(st.sampled_from([(",", ":"), (" , ", " : ")])),
    }
    end, head = (
        draw(st.sampled_from(["\n", "\r\n", "\n\n"])),
        draw(st.sampled_from(["query-id\tcorpus-id\tscore", ""])),
    )
    grade = draw(st.sampled_from(["1", "1.0", " 1"]))

    def text(rows):
        return draw(st.sampled_from(["", "\ufeff"])) + "".join(
            json.dumps(dict(draw(st.permutations(list(row.items())))), **form) + end for row in rows
        )

    judged = "".join(f"{line.removesuffix('1')}{grade}{end}" for line in qrels)
    return {
        "corpus.jsonl": text(corpus).encode(),
        "queries.jsonl": text(queries).encode(),
        "qrels/test.tsv": (f"{head}{end}" * bool(head) + judged).encode(),
    }


@examples(6)
@given(content=rewritten())
def test_the_same_content_in_another_form_has_the_same_scores(measured, content):
    clean, (outcome, found) = measured.clean, measured(content)
    assert outcome.code == 0, outcome.err
    # nAUC has none at times.
    known = {name: value for name, value in clean["scores"].items() if value is not None}
    assert {name: found["scores"][name] for name in known} == pytest.approx(known, rel=1e-12)
    assert found["scores"].keys() == clean["scores"].keys()


@examples(6)
@given(data=st.data())
def test_a_harmed_corpus_is_indexed_or_refused(tmp_path_factory, data):
    place = tmp_path_factory.mktemp("corpus")
    content = data.draw(harmed().map(lambda content: content["corpus.jsonl"]))
    write(place, {"corpus.jsonl": content})
    made = run("index", "--model", "bm25", "--corpus", place, "--out", place / "index", "--json")
    assert (place / "index").exists() == (made.code == 0)
    if made.code == 0:
        found = run("search", place / "index", "w1 w3", "--json")
        assert found.code == 0 and found.json["results"] is not None
        run("search", place / "index", "w1 w3")


RESULT = {
    "dataset_revision": "abc",
    "task_name": "SciFact",
    "mteb_version": "1.2",
    "evaluation_time": 3.0,
    "scores": {
        "test": [
            {
                "hf_subset": "default",
                "languages": ["eng-Latn"],
                "main_score": 0.5,
                "ndcg_at_10": 0.5,
            }
        ]
    },
}
META = {
    "name": "a/b",
    "revision": "r1",
    "embed_dim": 8,
    "n_parameters": 100,
    "training_datasets": ["x"],
}


@examples(6)
@given(data=st.data())
def test_harmed_results_are_imported_or_named(tmp_path_factory, data):
    place = tmp_path_factory.mktemp("results")
    result, meta = json.dumps(RESULT), json.dumps(META)
    if data.draw(st.booleans()):
        result = data.draw(st.one_of(with_another_value(RESULT), damaged(result.encode())))
    else:
        meta = data.draw(st.one_of(with_another_value(META), damaged(meta.encode())))
    folder = place / "results" / "a__b" / "r1"
    texts = {"SciFact.json": result, "model_meta.json": meta}
    write(
        folder,
        {
            n: t if isinstance(t, bytes) else t.encode("utf-8", "surrogatepass")
            for n, t in texts.items()
        },
    )
    db = place / "results.duckdb"
    done = run("import", place / "results", "--db", db, "--json")
    said = done.json
    assert said["runs"] == run("runs", "list", "--db", db, "--json").json["total"]
    assert said["runs"] or said["malformed"]
    for command in (("runs", "list"), ("leaderboard",), ("export", place / "out")):
        run(*command, "--db", db)


@examples(6)
@given(data=st.data())
def test_a_harmed_trec_run_is_imported_or_refused(tmp_path_factory, data):
    place = tmp_path_factory.mktemp("trec")
    texts = {
        "run": (
            "".join(
                f"q{n} Q0 d{m} {m + 1} {9 - m} t\n" for n in range(4) for m in range(5)
            ).encode()
        ),
        "qrels": "".join(f"q{n} 0 d{n} 1\n" for n in range(4)).encode(),
    }
    name = data.draw(st.sampled_from(sorted(texts)))
    rows = texts[name].decode().splitlines()
    if data.draw(st.booleans()):
        cells = rows[1].split()
        cells[data.draw(st.integers(0, len(cells) - 1))] = data.draw(words)
        rows[1] = " ".join(cells)
        texts[name] = "\n".join(rows).encode("utf-8", "surrogatepass")
    else:
        texts[name] = data.draw(damaged(texts[name]))
    write(place, texts)
    typed = ("import", place / "run", "--qrels", place / "qrels", "--task", "T", "--model", "M")
    done = run(*typed, "--db", place / "results.duckdb")
    if done.code == 0:
        (found,) = run("runs", "list", "--db", place / "results.duckdb", "--json").json["runs"]
        assert 0 <= found["main_score"] <= 1


QUESTION = {"id": "1", "question": "w3 w4", "answers": ["w4"], "relevant": ["d3"]}


@examples(6)
@given(data=st.data())
def test_harmed_questions_are_asked_or_refused(tmp_path_factory, data):
    place = tmp_path_factory.mktemp("questions")
    write(place / "corner", files())
    row = data.draw(st.one_of(with_another_value(QUESTION), damaged(json.dumps(QUESTION).encode())))
    row = row if isinstance(row, bytes) else row.encode("utf-8", "surrogatepass")
    write(place / "asked", {"q.jsonl": lines([{**QUESTION, "id": "0"}]).encode() + row + b"\n"})
    typed = (
        "rag",
        "--retriever",
        "bm25",
        "--corpus",
        place / "corner",
        "--questions",
        place / "asked/q.jsonl",
    )
    run(*typed, "-k", 2, "--db", place / "results.duckdb", "--json")
