"""Settings that any model may be given: each changes what the model gives, or is refused."""

import numpy as np
import pytest

import embedlab
from embedlab import models
from embedlab.errors import UserError
from embedlab.models import composition
from embedlab.models.settings import model_settings

TEXTS = [f"w{n} w{n + 1} w{n + 2} w{n + 3} w{n + 4}" for n in range(0, 60, 7)]


def vectors(name):
    """What the model gives for queries and documents, with the prompts that it is measured with."""
    encoder = embedlab.load(name, device="cpu")
    return encoder.encode_query(TEXTS), encoder.encode_document(TEXTS)


@pytest.fixture(scope="module")
def plain(tiny_folder):
    return vectors(tiny_folder)


@pytest.mark.parametrize(
    ("setting", "queries", "documents"),
    [
        ("max_length=4", True, True),
        ("truncate_dim=8", True, True),
        ("pooling=cls", True, True),
        ("pooling=lasttoken", True, True),
        ("dtype=bfloat16", True, True),
        ('prompt.query="q: "', True, False),
        ('prompt.Retrieval-query="q: "', True, False),
        ('prompt.document="w9: "', False, True),
        ('prompt.Retrieval="w9: "', True, True),
        ('instruction="q: {instruction} w1"', True, False),
    ],
)
def test_a_setting_changes_the_vectors_that_it_is_about(
    tiny_folder, plain, setting, queries, documents
):
    for ours, before, changes in zip(
        vectors(f"{tiny_folder}?{setting}"), plain, (queries, documents), strict=True
    ):
        same = ours.shape == before.shape and np.array_equal(ours, before)
        assert same != changes


def test_the_similarity_changes_the_order(tiny_folder):
    loaded = models.load(f"{tiny_folder}?similarity=manhattan", device="cpu")
    assert loaded.card.similarity == loaded.encoder.similarity_fn_name == "manhattan"


def test_the_same_settings_in_another_order_are_the_same_model(tiny_folder):
    one, other = (
        models.load(f"{tiny_folder}?{settings}", device="cpu")
        for settings in ("pooling=cls&max_length=8", "max_length=8&pooling=cls")
    )
    assert one.name == other.name == f"{tiny_folder.name}?max_length=8&pooling=cls"
    assert one.identity == other.identity


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ("max_length=64", "max_length=64 has no effect", "Leave it out"),
        ("max_length=65", "positions for 64 tokens", "max_length=64 or less"),
        ("max_length=0", "max_length is 0", "whole number from 1"),
        ("max_length=many", "max_length is 'many'", "whole number from 1"),
        ("truncate_dim=32", "truncate_dim=32 has no effect", "Leave it out"),
        ("truncate_dim=33", "no 33 dimensions", "1 to 31"),
        ("pooling=mean", "pooling=mean has no effect", "Leave it out"),
        ("pooling=last", "Unknown pooling 'last'", "lasttoken"),
        ("similarity=dot", "similarity=dot has no effect", "Leave it out"),
        ("similarity=cos", "Unknown similarity 'cos'", "cosine"),
        ("dtype=int8", "Unknown dtype 'int8'", "bfloat16"),
        ("revision=main", "has no revisions", "leave it out"),
        ("trust_remote_code=true", "brings no code", "Leave it out"),
        ("trust_remote_code=false", "trust_remote_code is False", "leave it out"),
        ('instruction="query"', "no {instruction}", "prompt.query"),
        ('prompt.query="{task}: "', "unknown placeholder {task}", "{instruction}"),
        ("prompt.query=query: ", "stands without quotes", 'prompt.query="query: "'),
        ("no_such=1", "Unknown setting", "max_length"),
    ],
)
def test_what_has_no_effect_is_refused(tiny_folder, settings, message, hint):
    with pytest.raises(UserError) as error:
        models.load(f"{tiny_folder}?{settings}", device="cpu").encoder  # noqa: B018
    assert message in str(error.value) and hint in error.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "splade-v3?similarity=cosine",
        "splade-v3?truncate_dim=8",
        "trans-encoder-cross-bert-base?pooling=cls",
        'trans-encoder-cross-bert-base?prompt.query="q: "',
        'trans-encoder-cross-bert-base?instruction="{instruction}"',
    ],
)
def test_what_a_kind_of_model_has_no_use_for_is_refused_before_it_is_fetched(name):
    with pytest.raises(UserError, match=r"has no effect on .*, a (sparse|cross) model") as error:
        models.find(name)
    assert "It takes: max_length" in error.value.hint


@pytest.mark.parametrize("text", ["a & b? ", 'he said "x"', "a, b; c)", "k1 >> k2", "x@y", "ä\n"])
def test_a_prompt_may_hold_any_character(tiny_folder, text):
    written = model_settings.written({"prompt.query": text, "max_length": 8})
    name = f"{tiny_folder}?{written}"
    assert model_settings.split(name)[1] == {"prompt.query": text, "max_length": 8}
    for expression in (f"rrf(bm25, {name}@torch, k=3)", f"{name} >> {name}"):
        tree = composition.expressions.parse(expression)
        assert {*(leaf.name for leaf in tree.leaves()), *tree.stages()} <= {"bm25", name}
    assert not composition.expressions.is_composed(name)
