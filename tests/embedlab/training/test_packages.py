"""The minis' data never show the benchmark: nothing in them equals or contains a benchmark text."""

import pytest

from embedlab.errors import UserError
from embedlab.tasks import stdlib
from embedlab.tasks.stdlib_source import Definition
from embedlab.training import packages
from embedlab.training.overlap import Unseen
from tests.embedlab.training.overlap import benchmark_texts, repeated

SOME = ["peft", "accelerate"]  # small ones, to ask for little time


@pytest.fixture(scope="module")
def pairs():
    return packages.pairs(SOME)


def test_no_training_text_equals_or_contains_a_benchmark_text(pairs, tmp_path, monkeypatch):
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path))
    training = [row[side] for row in pairs for side in ("query", "positive")]
    texts = set(benchmark_texts())
    assert len(training) > 2000 and len(texts) > 5000
    assert list(repeated(training, texts)) == []
    copied = max(texts, key=len)
    assert list(repeated([f"# A copy!\n{copied}\nand more"], [copied])) == [
        (f"# A copy!\n{copied}\nand more", copied)
    ]


def test_a_vendored_copy_is_recognised():
    stdlib_code = (
        "def walk(self):\n    yield self\n    for part in self.parts:\n        yield from"
        " part.walk()"
    )
    definition = Definition("email.walk", "Walk over the message tree.", stdlib_code)
    unseen = Unseen(packages.texts_of([definition]))
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
