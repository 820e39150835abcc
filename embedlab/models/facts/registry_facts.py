"""mteb's registry as a source of facts: what it says of a model, whoever runs it.

Dimensions, length, parameters, licence, whether weights are open and instructions are used, release
date, languages, links, and the tasks that it was trained on, with those made of the same data, as
mteb counts them for zero-shot. What a card or the model itself says comes before.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from math import isfinite
from typing import Any

from embedlab.models.cards import Card, cards
from embedlab.models.facts.fact_cache import Remembered

# A card's words for them, and release_date, languages, instructions, link, training_datasets.
Facts = dict[str, Any]

# Where a BibTeX entry says what the paper is: the first that is found.
_PAPERS = {
    "arXiv:": re.compile(
        r"(?i)(?:arxiv\.org/(?:abs|pdf)/|arxiv[:. ]+(?:preprint )?(?:arxiv:)?"
        r"|eprint\s*=\s*[{\"]\s*)(\d{4}\.\d{4,5})"
    ),
    "https://doi.org/": re.compile(r"\b(10\.\d{4,9}/[^\s}\",]+)"),
    "": re.compile(r"(?i)url\s*=\s*[{\"]\s*(https?://[^\s}\"]+)"),
}


def of_card(card: Card) -> Facts:
    """The facts of a card's model; empty where mteb knows none. Kept between runs."""
    if not card.kind.has_weights:
        return {"training_datasets": []}  # what counts words has learned nothing
    name = card.registry or card.source
    if name.count("/") != 1 or name.startswith(("/", ".")):
        return {}
    known: Facts = Remembered({"facts of mteb's registry": name}).get("facts", lambda: of(name))
    return known


def details(card: Card, known: Facts) -> Facts:
    """What is known of a model, by its card and these facts of the registry.

    Whether its weights can be had, `public`, is what a shipped card says, else the registry; of a
    model of one's own or behind a server nobody has said.
    """
    left_out = {"settings", "chosen", "file"}
    if (card.origin or card.name) not in cards() or not card.kind.has_weights:
        left_out.add("public")
    own = {
        key: value
        for key, value in asdict(card).items()
        if key not in left_out and (value not in ("", 0, [], {}) or value is False)
    }
    return known | own


def of(name: str) -> Facts:
    """The facts of a model by its name in mteb's registry, in any case; empty for another."""
    name = _names().get(name.lower(), "")
    return _facts(name) if name else {}


def of_all(names: Iterable[str]) -> dict[str, Facts]:
    """The facts of these models by name, of those that the registry knows. To ask it for all of
    its own takes seconds: for each data set that it does not know it looks for the closest.
    """
    return {name: facts for name in names if (facts := of(name))}


def edition() -> str:
    """Whose facts these are: another version of mteb may say something else."""
    return f"mteb {version('mteb')}"


@cache
def _names() -> dict[str, str]:
    from mteb.models.model_implementations import MODEL_REGISTRY

    return {name.lower(): name for name in MODEL_REGISTRY}


def _facts(name: str) -> Facts:
    from mteb.models.model_implementations import MODEL_REGISTRY

    meta = MODEL_REGISTRY[name]
    dims = meta.embed_dim
    trained = meta.get_training_datasets()
    facts = {
        "dim": max(dims) if isinstance(dims, list | tuple) else dims,
        "max_length": int(meta.max_tokens)
        if meta.max_tokens and isfinite(meta.max_tokens)
        else None,
        "parameters": meta.n_parameters,
        "licence": meta.license,
        "public": meta.open_weights,
        "instructions": meta.use_instructions,
        "link": meta.reference and str(meta.reference),
        "paper": paper(meta.citation or ""),
        "release_date": str(meta.release_date) if meta.release_date else None,
        "languages": sorted(map(str, meta.languages)) if meta.languages else None,
        "training_datasets": None if trained is None else sorted(trained),
        "facts_from": edition(),
    }
    return {key: value for key, value in facts.items() if value is not None}


def paper(bibtex: str) -> str | None:
    """The paper that a BibTeX entry names: arXiv:ID, or an address; None where it gives neither."""
    for before, pattern in _PAPERS.items():
        if found := pattern.search(bibtex):
            return before + found[1]
    return None
