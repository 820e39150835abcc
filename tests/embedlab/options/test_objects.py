"""`--model your_file.py:Class`: any object that is a model."""

import pytest

CODE = """
import numpy as np


class Words:
    def encode(self, texts):
        rows = np.zeros((len(texts), 201), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                rows[row, int(word[1:]) if word[1:].isdigit() else 200] += 1
        return rows


class OnDevice(Words):
    def __init__(self, device):
        assert device == "cpu"


class Tokens:
    def encode(self, texts):
        places = [[int(word[1:]) if word[1:].isdigit() else 200 for word in text.split()] or [200]
                  for text in texts]
        return [np.eye(201, dtype=np.float32)[place] for place in places]


class Overlap:
    def predict(self, pairs):
        return [len({*query.split()} & {*text.split()}) for query, text in pairs]


class Mteb:
    mteb_model_meta = None

    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **_):
        return Words().encode([text for batch in inputs for text in batch["text"]])

    def similarity(self, a, b):
        return np.asarray(a) @ np.asarray(b).T

    def similarity_pairwise(self, a, b):
        return (np.asarray(a) * np.asarray(b)).sum(axis=1)


class Generator:
    def encode(self, texts):
        yield from Words().encode(texts)


class Pairs:
    mteb_model_meta = None

    def predict(self, inputs1, inputs2, *, task_metadata, hf_split, hf_subset, prompt_type=None,
                **_):
        return np.ones(len(inputs1.dataset))


class Stream:
    def predict(self, pairs):
        return (0.0 for _ in pairs)


class Nothing:
    pass
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("code") / "mine.py"
    path.write_text(CODE)
    return path


@pytest.mark.parametrize("name", ["Words", "OnDevice", "Tokens", "Mteb"])
def test_a_plain_class_is_evaluated(file, corner, ok, name):
    (run,) = ok("eval", "--model", f"{file}:{name}", "--task", corner, "--json")["runs"]
    assert run["model"] == name and run["main_score"] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("stage", ["Overlap", "Tokens"])
def test_it_reranks(file, corner, ok, stage):
    (run,) = ok("eval", "--model", f"bm25 >> {file}:{stage}", "--task", corner, "--json")["runs"]
    assert run["main_score"] == pytest.approx(1.0, abs=0.02)


def test_it_is_indexed_and_searched(file, corner, ok, tmp_path):
    model, out = f"{file}:Words", tmp_path / "index"
    ok("index", "--model", model, "--corpus", corner, "--out", out, "--json")
    text = (corner / "queries.jsonl").read_text().splitlines()[2].partition('"text": "')[2][:-2]
    assert ok("search", out, text, "--model", model, "--json")["results"][0]["id"] == "d2"


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("Nothing", [], "an object with encode(texts) or predict(pairs)"),
        ("Words?max_length=3", [], "max_length has no effect on"),
        ('Words?prompt.query="w1"', [], "prompt.query has no effect on"),
        ("Words?similarity=dot", [], "similarity has no effect on"),
        ("Generator", [], "gave a generator, for 8 texts"),
        ("Words", ["--device", "cpu"], "--device has no effect on Words"),
        ("Words", ["--layers", "1"], "whose layers nobody sees"),
        ("Words", ["--store-dtype", "float16"], "Words encodes as it does by itself"),
        ("Words", ["--batch-tokens", "100"], "Words encodes as it does by itself"),
        ("Tokens", ["--store-dtype", "int8"], "Tokens encodes as it does by itself"),
        ("Words", ["--workers", "2", "--model", "bm25"], "Words encodes as it does by itself"),
        ("Words", ["--force"], "force are for models that are loaded by name"),
        ("Words", ["--trust-remote-code"], "force are for models that are loaded by name"),
        ("Words", ["--force", "--model", "bm25"], "force are for models that are loaded by name"),
        ("Overlap", ["--force"], "force are for models that are loaded by name"),
        ("Mteb", ["--index", "torch"], "mteb searches with its protocols"),
        ("Pairs", [], "it reorders candidates, and this task has none"),
        ("Stream", [], "gave a generator that holds no numbers"),
        ("Mteb", ["--dims", "10"], "mteb searches with its protocols"),
        ("Overlap", [], "reorders candidates"),
    ],
)
def test_what_does_not_fit_is_refused(file, corner, refused, model, options, words):
    assert words in refused("eval", "--model", f"{file}:{model}", "--task", corner, *options)


@pytest.mark.parametrize("model", ["{file}:Mteb", "rrf(bm25, {file}:Mteb)"])
def test_an_index_holds_nothing_of_mtebs_protocols(file, corner, refused, tmp_path, model):
    said = refused(
        "index", "--model", model.format(file=file), "--corpus", corner, "--out", tmp_path / "x"
    )
    assert "implements a protocol of mteb" in said and not (tmp_path / "x").exists()


def test_a_class_that_is_not_there(file, corner, refused):
    said = refused("eval", "--model", f"{file}:Word", "--task", corner)
    assert "Did you mean Words?" in said and "Generator" in said
