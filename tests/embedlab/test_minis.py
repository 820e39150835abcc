"""The checkpoints that ship: small, whole, as their cards say,
and better than words at code search.
"""

import json

import pytest

from embedlab import corpus_index
from embedlab.models import load
from embedlab.models.cards import cards, expand
from embedlab.resources import DATA

CHECKPOINTS = DATA / "checkpoints"
MINIS = expand(["minis"])
PAIRS = {
    "Return the current working directory.": "def getcwd():\n    return os.path.abspath(os.curdir)",
    "Close the file and release the lock.": (
        "def close(self):\n    self.file.close()\n    self.lock.release()"
    ),
    "Sort the list in descending order.": (
        "def sort_descending(values):\n    return sorted(values, reverse=True)"
    ),
    "Parse the date from a string.": (
        "def parse_date(text):\n    return datetime.strptime(text, DATE_FORMAT).date()"
    ),
    "Send an email over SMTP.": (
        "def send(message):\n    with smtplib.SMTP(host) as smtp:\n        smtp.send(message)"
    ),
}


def test_there_are_ten_methods_and_controls():
    wanted = {
        "causal2vec-mini", "nv-embed-mini", "gem", "mrl", "2dmse", "starbucks", "mistral-splade",
        "llm2vec-mini", "colbert",
    }  # fmt: skip
    assert {*MINIS} >= wanted | {"base-mean", "base-last"}


def test_they_are_small():
    sizes = {
        folder.name: sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        for folder in CHECKPOINTS.iterdir()
    }
    assert max(sizes.values()) <= 10e6, sizes
    assert sum(sizes[cards()[name].checkpoint] for name in MINIS) <= 60e6


@pytest.mark.parametrize("name", MINIS)
def test_a_mini_is_what_its_card_says(name):
    card = cards()[name]
    model = load(name, device="cpu", dtype="float32")
    queries, documents = (
        encode(list(texts), show_progress_bar=False)
        for encode, texts in (
            (model.encoder.encode_query, PAIRS),
            (model.encoder.encode_document, PAIRS.values()),
        )
    )
    assert len(queries) == len(PAIRS)
    assert queries[0].shape[-1] == card.dim and queries[0].ndim == (
        2 if card.kind.gives_tokens else 1
    )
    assert model.encoder.similarity_fn_name == card.similarity
    assert model.encoder.max_seq_length == card.max_length
    assert sum(parameter.numel() for parameter in model.encoder.parameters()) == card.parameters
    scores = model.encoder.similarity(queries, documents)
    assert scores.argmax(dim=1).tolist() == list(range(len(PAIRS)))


@pytest.mark.parametrize("name", MINIS)
def test_its_record_says_how_it_was_made(name):
    record = json.loads((CHECKPOINTS / name / "training.json").read_text(encoding="utf-8"))
    assert record["data"]["stage 1"]["digest"] and record["seconds"] > 0
    assert record["recipe"]["name"] in cards()[name].notes


def test_the_sparse_minis_terms_are_words():
    retriever = corpus_index.build(
        "mistral-splade", ["d"], ["Parse the date from a string."], device="cpu", dtype="float32"
    )
    terms = retriever.query_terms("Café: parse the date")
    assert {"parse", "date"} <= {term for term, _ in terms}  # no mark of the space before them
    assert not any("\ufffd" in term for term, _ in terms)
