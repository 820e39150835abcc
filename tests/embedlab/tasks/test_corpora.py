"""Corpora on disk: the same task and the same scores as ever, in bounded memory; made whole or not
at all, checked, shown and freed.
"""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from embedlab.compat import mteb_internals
from embedlab.errors import UserError
from embedlab.evaluation.retrieval_data import retrieval_data
from embedlab.tasks import load, recorded_name, rendering, resolve
from tests.embedlab.tasks.conftest import lines

ROOT = Path(__file__).parents[3]
# Numbers, other scripts, ids longer than numpy's short strings, blanks at the ends: not in order.
IDS = [
    7,
    "é" * 40,
    "d1",
    "d10",
    "D1",
    "module.function_of_some_length",
    "𝔘-1",
    " d1",
    "0" * 300,
    "x/y",
]


@pytest.fixture
def unusual(tmp_path):
    """A packed folder of 60 documents with unusual ids, a few of them empty or without a title."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "unusual"
    (folder / "qrels").mkdir(parents=True)
    ids = [*IDS, *(f"document number {n}" for n in rng.permutation(50))]
    rows = [
        {"_id": id, "text": " ".join(f"w{n}" for n in rng.integers(0, 40, 8)) if n % 9 else ""}
        | ({"title": f"w{n}" if n % 2 else ""} if n % 3 else {})
        for n, id in enumerate(ids)
    ]
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(lines(rows).encode()))
    queries = [
        {"_id": f"q{n}", "text": " ".join(f"w{m}" for m in range(n, n + 4))} for n in range(20)
    ]
    (folder / "queries.jsonl").write_text(lines(queries))
    judged = [f"q{n}\t{ids[row]}\t1" for n in range(20) for row in rng.choice(60, 3, replace=False)]
    (folder / "qrels/test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "\n".join(judged) + "\n"
    )
    return folder, rows


def test_scores_are_those_of_mteb_on_the_same_documents_in_memory(
    unusual, model, tmp_path, home, cli
):
    import mteb
    from datasets import Dataset

    folder, rows = unusual
    model.save(str(tmp_path / "model"))
    code, out, err = cli(
        "eval", "--model", tmp_path / "model", "--task", folder, "--dtype", "float32", "--json"
    )
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    (task,) = resolve([str(folder)])
    parts = load(task).dataset["default"]["test"]
    assert run["task"] == recorded_name(task)
    parts["corpus"] = Dataset.from_dict(
        {
            "id": [str(row["_id"]) for row in rows],
            "title": [row.get("title", "") for row in rows],
            "text": [row["text"] for row in rows],
        }
    )
    (theirs,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
    (scores,) = theirs.scores["test"]
    compared = {name for name in run["scores"] if not name.startswith("nauc")} & scores.keys()
    assert len(compared) > 30
    for name in compared:
        assert run["scores"][name] == pytest.approx(scores[name], abs=6e-6), name  # rounded


def test_documents_and_ids_by_row(unusual):
    folder, rows = unusual
    (task,) = resolve([str(folder)])
    data = retrieval_data(load(task), "test", "default")
    texts = {str(row["_id"]): f"{row.get('title') or ''} {row['text']}".strip() for row in rows}
    ids = sorted(texts, reverse=True)
    assert data.document_ids == ids and list(data.documents) == [texts[id] for id in ids]
    some = np.array([40, 0, 3, 3])
    assert data.documents[some] == [texts[ids[row]] for row in some]
    assert data.documents[5:8] == [texts[id] for id in ids[5:8]]
    assert data.documents[-1] == texts[ids[-1]]
    back = data.ascending()
    assert list(back.documents) == [texts[id] for id in ids[::-1]]
    named = [*ids[::7], "none of them", ""]
    for sequence, names in ((data.document_ids, ids), (back.document_ids, ids[::-1])):
        wanted = [names.index(name) if name in names else -1 for name in named]
        assert sequence.rows(named).tolist() == wanted


def test_a_folder_has_the_name_that_it_had_before_corpora_were_kept(beir):
    (task,) = resolve([str(beir())])
    assert recorded_name(load(task)) == "zoo@b21589cf"


def test_the_first_mistake_in_a_file_is_named(beir):
    rows = [f'{{"_id": "d{n}", "text": "a"}}\n' for n in range(2500)]
    rows[2100] = rows[7]
    rows[2300] = "no JSON\n"
    (task,) = resolve([str(beir(corpus_jsonl="".join(rows)))])
    with pytest.raises(UserError, match=r"corpus\.jsonl:2101 gives the id 'd7' a second time"):
        load(task)


BM25 = ("eval", "--model", "bm25", "--json", "--task")


@pytest.mark.effect("cache prune --corpus")
def test_kept_shown_checked_and_freed(beir, home, cli):
    folder = beir()

    def kept():
        return json.loads(cli("cache", "ls", "--json")[1])["corpora"]

    def evaluated(*options):
        code, out, err = cli(*BM25, folder, *options)
        assert code == 0, err
        return json.loads(out)["runs"][0]["scores"], err

    first, _ = evaluated()
    (one,) = kept()
    assert (one["source"], one["documents"]) == (str(folder / "corpus.jsonl"), 3)
    assert json.loads(cli("cache", "du", "--json")[1])["corpora"] == {one["source"]: one["bytes"]}
    file = home / "corpora" / one["folder"] / "corpus.arrow"
    made = file.stat().st_mtime_ns
    cli("cache", "prune")
    assert evaluated("--measure", "P@2")[1].count("Corpora:") == 0
    assert file.stat().st_mtime_ns == made  # read, not made again
    file.write_bytes(file.read_bytes().replace(b"a dog", b"a cat"))
    code, out, _ = cli("cache", "verify", "--json")
    assert code == 1 and "corpus.arrow does not match its checksum" in out
    again, said = evaluated("--measure", "P@3")
    assert "it is made again" in said and first.items() <= again.items()
    assert cli("cache", "verify")[0] == 0
    assert "No corpus of a file 'nope'" in cli("cache", "prune", "--corpus", "nope")[2]
    cli("cache", "prune", "--corpus", "zoo")
    assert kept() == []
    evaluated("--measure", "P@4")
    (folder / "corpus.jsonl").write_text((folder / "corpus.jsonl").read_text() + "\n")
    cli("cache", "prune")
    assert kept() == []


READ = "import sys; from pathlib import Path; from embedlab.tasks import beir\n"


def reading(folder, before=""):
    program = [sys.executable, "-c", f"{before}\n{READ}beir.read(Path({str(folder)!r}), 'test')"]
    return subprocess.Popen(program, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_a_killed_conversion_leaves_nothing_that_counts(beir, home, cli):
    rows = "".join(f'{{"_id": "d{n}", "text": "word {n}"}}\n' for n in range(200_000))
    folder = beir(corpus_jsonl=rows)
    with reading(folder) as process:
        while not list(home.glob("corpora/.*.part/corpus.arrow")):
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    (half,) = home.glob("corpora/.*.part")
    assert json.loads(cli("cache", "ls", "--json")[1])["corpora"] == []
    cli("cache", "prune")
    assert not half.exists()


def test_without_a_writable_home_it_lies_in_a_temporary_folder(beir, home, cli, tmp_path):
    folder = beir()
    home.mkdir()
    (home / "corpora").write_text("in the way")
    code, out, err = cli(*BM25, folder)
    assert code == 0 and json.loads(out)["runs"], err


def test_without_any_room_there_is_one_error(beir, home):
    folder = beir(corpus_jsonl="".join(f'{{"_id": "d{n}", "text": "a"}}\n' for n in range(30_000)))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    with reading(folder, limit) as process:
        _, err = process.communicate()
    assert "UserError: The corpus cannot be written to disk" in err
    assert not list(home.glob("corpora/.*.part")) and not list(home.glob("corpora/*/"))


MEASURED = """
import resource, sys
from embedlab.evaluation.retrieval_data import retrieval_data
from embedlab.tasks import load, resolve

def read(folder):
    data = retrieval_data(load(resolve([folder])[0]), "test", "default")
    return sum(map(len, data.documents)), len(data.documents[1])

small, large = sys.argv[1:]
read(small)  # with all imports
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(read(large)[0], (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_memory_does_not_grow_with_the_texts(beir, home):
    text = " ".join(f"word{n}" for n in range(400))  # of 3 kB
    rows = "".join(f'{{"_id": "d{n}", "text": "{n} {text}"}}\n' for n in range(40_000))
    small, large = beir("small"), beir("large", corpus_jsonl=rows)
    program = [sys.executable, "-c", MEASURED, str(small), str(large)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    characters, grown = map(int, done.stdout.split())
    assert characters > 120e6 and grown < 50e6


def test_any_selection_of_a_data_set_is_rendered_as_mteb_does(tmp_path):
    from datasets import Dataset, concatenate_datasets, load_from_disk
    from mteb.types import PromptType

    rows = {"id": [f"d{n}" for n in range(30)], "text": [f" text {n}\n" for n in range(30)]}
    titles = {"title": [f"title {n}" if n % 3 else "" for n in range(30)]}
    Dataset.from_dict(rows | titles).save_to_disk(tmp_path / "data")
    mapped = load_from_disk(str(tmp_path / "data"))
    for corpus in (mapped, Dataset.from_dict(rows), concatenate_datasets([mapped, mapped])):
        for chosen in (
            corpus,
            corpus.select([7, 2, 2, 29, 0]),
            corpus.filter(lambda r: "1" in r["id"]),
        ):
            documents = rendering.documents(chosen)
            wanted = mteb_internals.retrieval_texts(chosen, PromptType.document)
            assert list(documents) == documents[::1] == wanted
            order = np.arange(len(chosen))[::-1]
            assert list(rendering.documents(chosen, order)) == wanted[::-1]
            assert list(reversed(documents)) == wanted[::-1]
            assert [part["text"] for part in documents.parts()] == chosen["text"][:]
