"""The model cards: each fits its method's loader, and states what the loader does."""

import inspect
from importlib import import_module

import pytest

from embedlab.encoders.methods import METHODS
from embedlab.models.cards import cards, expand

OWN = {"plain", "starbucks", "echo", "echo-splade", "lion", "lens"}


@pytest.mark.parametrize("name", [name for name, card in cards().items() if card.method in METHODS])
def test_a_card_fits_its_loader(name):
    card = cards()[name]
    load = import_module(METHODS[card.method]).load
    parameters = inspect.signature(load).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        assert set(card.settings) <= set(parameters)
    assert card.description and card.max_length and card.attention in ("bidirectional", "causal")
    if card.kind.gives_vectors:
        assert card.dim and card.pooling and card.similarity in ("cosine", "dot")
    elif card.kind.gives_tokens:
        assert card.dim and card.similarity in ("maxsim", "meanmaxsim")
    else:
        assert card.kind == "cross"
    assert card.public == bool(card.source or card.checkpoint)
    for published in card.published:
        assert set(published) == {"task", "metric", "score", "source"}
        assert -1 <= published["score"] <= 1
    if card.instruction:
        assert "{instruction}" in card.instruction


@pytest.mark.parametrize("name", [name for name, card in cards().items() if card.method in OWN])
def test_settings_say_the_same_as_the_card(name):
    card = cards()[name]
    settings = card.settings
    for key in ("similarity", "kind"):
        assert settings.get(key, getattr(card, key)) == getattr(card, key)
    assert settings.get("max_length", card.max_length) == card.max_length
    assert settings.get("document_length", card.max_length) == card.max_length


def test_a_group_stands_for_its_cards():
    minis = expand(["minis"])
    assert "causal2vec-mini" in minis and not {"causal2vec", "all-minilm-l6-v2"} & {*minis}
    assert expand(["gem", "minis", "bm25", "bm25"]) == [
        "gem",
        *(name for name in minis if name != "gem"),
        "bm25",
    ]
    assert expand([""]) == [""]
