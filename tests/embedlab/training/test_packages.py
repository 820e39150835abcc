"""The minis' data never show the benchmark: nothing in them equals or contains a benchmark text."""

import csv
import json
import tomllib

import pytest

from embedlab.errors import UserError
from embedlab.resources import DATA
from embedlab.tasks import stdlib
from embedlab.tasks.stdlib_source import Definition
from embedlab.training import packages

SOME = ["peft", "accelerate"]  # small ones, to ask for little time


@pytest.fixture(scope="module")
def pairs():
    return packages.pairs(SOME)


def benchmark_texts(tmp_path, monkeypatch):
    """Every text of every built-in task: documents, queries, labelled docstrings."""
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path))
    for name in ("stdlib", "stdlib-mini"):
        sizes = tomllib.loads((DATA / "benchmarks" / f"{name}.toml").read_text())["sizes"]
        folder = stdlib.folder(sizes)
        for file in ("corpus.jsonl", "queries.jsonl"):
            for line in (folder / "search" / file).read_text(encoding="utf-8").splitlines():
                yield json.loads(line)["text"]
        for path in folder.rglob("*.csv"):
            with path.open(encoding="utf-8", newline="") as lines:
                yield from (row["text"] for row in csv.DictReader(lines))


def test_no_training_text_equals_or_contains_a_benchmark_text(pairs, tmp_path, monkeypatch):
    training = {packages.words(row[side]) for row in pairs for side in ("query", "positive")}
    assert len(training) > 2000
    # All runs of four words that training texts have, and where; a contained benchmark text starts with one of them.
    starts = {}
    for text in training:
        for i in range(len(text) - 3):
            starts.setdefault(text[i : i + 4], []).append((text, i))
    checked = 0
    for text in set(map(packages.words, benchmark_texts(tmp_path, monkeypatch))):
        if len(text) < 4:
            assert text not in training
            continue
        checked += 1
        for found, i in starts.get(text[:4], ()):
            assert found[i : i + len(text)] != text, " ".join(text)
    assert checked > 5000


def test_a_vendored_copy_is_recognised():
    stdlib_code = "def walk(self):\n    yield self\n    for part in self.parts:\n        yield from part.walk()"
    unseen = packages.Unseen(iter([Definition("email.walk", "Walk over the message tree.", stdlib_code)]))
    assert unseen.repeats(stdlib_code)
    assert unseen.repeats("# copied from Python\n" + stdlib_code.upper().replace("    ", "\t"))
    assert unseen.repeats("It says: walk over the MESSAGE tree! And more.")
    assert not unseen.repeats("def walk(self): yield from self.children")
    assert not unseen.repeats("Walk over")


def test_pairs_are_sentences_and_what_they_describe(pairs):
    assert {row["kind"] for row in pairs} == {"code", "body"}
    for row in pairs:
        assert len(packages.words(row["query"])) >= 4 and len(row["positive"]) <= 2000
        if row["kind"] == "code":
            assert not stdlib.is_verbatim(row["query"], row["positive"])
    keys = [(packages.words(row["query"]), row["kind"]) for row in pairs]
    assert len(set(keys)) == len(keys)


def test_the_order_does_not_depend_on_the_packages_order(pairs):
    assert packages.pairs(SOME[::-1]) == pairs


def test_the_standard_library_and_missing_packages_are_refused():
    with pytest.raises(UserError, match="not installed"):
        packages.pairs(["no_such_package"])
    with pytest.raises(UserError, match="standard library"):
        packages.pairs(["email"])


def test_the_lock_names_what_is_installed_by_its_import_name():
    found = packages.versions(["sklearn", "numpy"])
    assert all(found.values())
