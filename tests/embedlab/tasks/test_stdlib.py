import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from embedlab.tasks import catalogue, load, resolve
from embedlab.tasks.stdlib import docstrings_by_package, first_sentence, is_verbatim, library


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _in_home(home, monkeypatch):
    monkeypatch.setenv("EMBEDLAB_HOME", str(home))


@pytest.fixture(scope="module")
def found():
    return {definition.name: definition for definition in library()}


def test_code_comes_without_docstrings(found):
    walk = found["os.walk"]
    assert walk.docstring.startswith("Directory tree generator.")
    assert walk.code.startswith("def walk(top")
    assert "return _walk(" in walk.code
    assert "Directory tree generator" not in walk.code


def test_a_class_shows_its_methods_without_their_bodies(found):
    logger = found["logging.Logger"].code
    assert "def setLevel(self, level):" in logger
    assert "self.level = _checkLevel(level)" not in logger
    assert "self.level = _checkLevel(level)" in found["logging.Logger.setLevel"].code


def test_tests_and_generated_files_are_left_out(found):
    modules = {tuple(name.split(".")[:2]) for name in found}
    assert modules.isdisjoint(
        {
            ("idlelib", "idle_test"),
            ("lib2to3", "tests"),
            ("unittest", "test"),
            ("encodings", "cp037"),
        }
    )
    assert not any(name.startswith(("test.", "pydoc_data.", "site-packages.")) for name in found)


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Return the size\nof a file. More text.", "Return the size of a file."),
        ("Return names, e.g. those of files", "Return names, e.g. those of files"),
        ("Return it.", ""),
        (">>> print('this is an example of it')", ""),
        ("", ""),
    ],
)
def test_first_sentence(docstring, sentence):
    assert first_sentence(docstring) == sentence


def test_verbatim_means_six_words_in_a_row_or_all():
    sentence = "Return the size of a file in bytes."
    assert is_verbatim(sentence, "def f(x):\n    # return the size, of a file\n    pass")
    assert not is_verbatim(sentence, "def f(x):\n    # the size of a directory\n    pass")
    assert is_verbatim("Return the file size.", "raise Error('cannot return the file size')")


def test_code_search():
    (task,) = [load(task) for task in resolve(["StdlibCodeSearch"])]
    data = task.dataset["default"]["test"]
    documents = dict(zip(data["corpus"]["id"], data["corpus"]["text"], strict=True))
    queries = dict(zip(data["queries"]["id"], data["queries"]["text"], strict=True))
    assert len(documents) > 5000
    assert len(queries) > 1000
    # There are distractors.
    assert len(documents) > len(
        {name for relevant in data["relevant_docs"].values() for name in relevant}
    )
    assert len({" ".join(text.lower().split()) for text in queries.values()}) == len(queries)
    assert len({"".join(text.split()) for text in documents.values()}) == len(documents)
    leaks = [
        queries[query]
        for query, relevant in data["relevant_docs"].items()
        if any(is_verbatim(queries[query], documents[name]) for name in relevant)
    ]
    assert leaks == []


def test_module_search_asks_for_what_a_long_document_holds(found):
    (task,) = [load(task) for task in resolve(["stdlib-long"])]
    data = task.dataset["default"]["test"]
    documents = dict(zip(data["corpus"]["id"], data["corpus"]["text"], strict=True))
    queries = dict(zip(data["queries"]["id"], data["queries"]["text"], strict=True))
    assert (len(documents), len(queries)) == (200, 300)
    assert all(6_000 <= len(code) <= 12_000 for code in documents.values())
    described = defaultdict(set)
    for definition in found.values():
        described[first_sentence(definition.docstring).lower()].add(definition)
    beyond = 0
    for query, relevant in data["relevant_docs"].items():
        for module in relevant:
            code = documents[module]
            assert not is_verbatim(queries[query], code)
            places = [
                code.find(each.code)
                for each in described[queries[query].lower()]
                if each.module == module and each.code in code
            ]
            assert places
            beyond += min(places) > 1_000
    # Most of what is asked for stands behind what a model of 256 tokens reads.
    assert beyond > 200


def test_equal_sentences_share_their_documents():
    (task,) = [load(task) for task in resolve(["StdlibCodeSearch"])]
    assert max(map(len, task.dataset["default"]["test"]["relevant_docs"].values())) > 1


def test_packages_are_balanced_and_masked(found):
    sizes = catalogue.built_in()["StdlibPackageClassification"]["sizes"]
    packages = docstrings_by_package(library(), sizes)
    assert 10 <= len(packages) <= sizes["packages"]
    texts = [text for members in packages.values() for text in members]
    assert len(set(texts)) == len(texts) == len(packages) * (sizes["train"] + sizes["test"])
    assert not [
        text
        for name, members in packages.items()
        for text in members
        if len(name) > 3 and name in text.lower()
    ]


def test_mini_is_small_and_has_all_three_kinds():
    search, classification, clustering = map(load, resolve(["stdlib-mini"]))
    data = search.dataset["default"]["test"]
    assert (data["corpus"].num_rows, data["queries"].num_rows) == (1000, 250)
    assert max(map(len, data["corpus"]["text"])) <= 300
    assert set(classification.dataset["train"]["text"]).isdisjoint(
        classification.dataset["test"]["text"]
    )
    assert clustering.dataset["test"].num_rows == sum(
        split.num_rows for split in classification.dataset.values()
    )


def test_mteb_evaluates_all_three(model):
    import mteb

    for task in resolve(["stdlib-mini"]):
        (result,) = mteb.evaluate(
            model, load(task), cache=None, show_progress_bar=False
        ).task_results
        assert 0 < result.get_score() < 1
        assert len(result.dataset_revision) == 64


def test_the_content_is_the_same_in_another_process_and_place(tmp_path):
    here = [load(task).metadata.revision for task in resolve(["stdlib-mini"])]
    code = (
        "from embedlab.tasks import *; print(*[load(task).metadata.revision for task in"
        " resolve(['stdlib-mini'])])"
    )
    environment = {**os.environ, "EMBEDLAB_HOME": str(tmp_path), "PYTHONHASHSEED": "1"}
    root = Path(__file__).parents[3]
    there = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.split() == here


def test_it_is_built_once(home):
    resolve(["stdlib-mini"])
    before = sorted(home.rglob("*"))
    resolve(["stdlib-mini"])
    assert sorted(home.rglob("*")) == before
    assert not [path for path in (home / "stdlib").iterdir() if not path.name.startswith("python")]
