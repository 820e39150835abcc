"""A small collection, indexes of it as `embedlab index` builds them, and servers of these."""

import json
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from time import sleep
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

pytest.importorskip("mcp", reason="needs the extra serve")

WORDS = [f"w{n}" for n in range(200)]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="session")
def corner(tmp_path_factory):
    """A BEIR folder of 60 documents, two of them alike, and 12 judged queries."""
    rng = np.random.default_rng(1)
    folder = tmp_path_factory.mktemp("beir") / "corner"
    (folder / "qrels").mkdir(parents=True)
    texts = [" ".join(rng.choice(WORDS, rng.integers(5, 30))) for _ in range(60)]
    texts[7] = texts[3]
    rows = [
        {"_id": f"d{n}", "title": f"w{n}", "text": text, "year": 2000 + n}
        for n, text in enumerate(texts)
    ]
    queries = [
        {"_id": f"q{n}", "text": " ".join(rng.permutation(texts[n].split())[: 2 + n])}
        for n in range(12)
    ]
    for name, each in (("corpus", rows), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in each))
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(12))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


@pytest.fixture(scope="session")
def build(tmp_path_factory, corner):
    """Build an index of the corner: a model, what `--index` says -> the index's folder."""
    from embedlab import corpus_index
    from embedlab.options import DocumentOptions

    folder = tmp_path_factory.mktemp("indexes")

    def built(model, spec="", name="corner-index", chunk=""):
        path = folder / f"{len(list(folder.iterdir()))}" / name
        found = corpus_index.read_corpus(corner, DocumentOptions())
        how = {} if model == "bm25" else {"dtype": "float32", "device": "cpu"}
        how["chunk"] = chunk
        corpus_index.build(str(model), found.ids, found.documents, spec, **how).save(path)
        return path

    return built


@pytest.fixture(scope="session")
def dense(build, tiny_folder):
    """An index of the tiny model."""
    return build(tiny_folder)


@contextmanager
def serving(path: Path, *, token="", host="127.0.0.1", **options):
    """A server of an index on a free port: a client of it, its address, the served index."""
    from embedlab import corpus_index
    from embedlab.serve import running
    from embedlab.serve.served_index import ServedIndex

    served = ServedIndex(corpus_index.load(path), path.name, **options)
    listener = running.listening("127.0.0.1", 0)
    server = running.server(served, listener, host, token)
    thread = Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            sleep(0.01)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            yield SimpleNamespace(client=client, url=url, index=served, server=server)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def tiny_server(dense):
    """A server of the dense index."""
    with serving(dense) as server:
        yield server


@pytest.fixture
def refused(cli, home):
    """Run a command line that has to be refused; gives the error."""

    def call(*arguments):
        code, _, err = cli(*arguments)
        assert code == 2 and "Traceback" not in err, err
        return err

    return call
