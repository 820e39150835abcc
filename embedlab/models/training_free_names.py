"""A language model without training, as a model's name: `mean(BASE)`, `eol(BASE)`; and
`yes-no(BASE)`, which reranks (`embedlab.encoders.yes_no`).

A BASE is a base by name (`smollm2-135m`, `smollm2-135m@layers=12`), a hub id, or a folder. What
each form does stands in `embedlab.encoders.training_free`.
"""

import re
from pathlib import Path
from typing import Any

from embedlab.bases import folders
from embedlab.bases.base_cards import bases
from embedlab.errors import UserError, unknown
from embedlab.models.cards import Card, cards
from embedlab.models.kinds import Kind

METHOD = "training-free"
# As in embedlab.encoders.training_free, which imports torch.
FORMS = ("mean", "last", "bidirectional", "echo", "eol", "special-token")
RERANKER = "yes-no"  # a method of its own, of the same name
METHODS = (METHOD, RERANKER)
_CALL = re.compile(rf"\s*({'|'.join((*FORMS, RERANKER))})\s*\((.*)\)\s*", re.DOTALL)
_POOLING = {"mean": "mean", "bidirectional": "mean", "echo": "mean of the second copy"}


def split(name: str) -> tuple[str, str] | None:
    """Form and base of such a name; None where it is another one."""
    found = _CALL.fullmatch(name.partition("?")[0])
    if found is None or not _closes(found[2]):
        return None
    return found[1], found[2].strip()


def card(name: str) -> Card | None:
    """The card of the model that such a name stands for, without settings; None for another name.

    Raises:
        UserError: it names no base.
    """
    found = split(name)
    if found is None:
        return None
    form, base = found
    if not base or split(base):
        raise UserError(
            f"{name.strip()} names no base.",
            f"Type {form}(BASE), where BASE is {', '.join(bases())}, a hub id, or a folder.",
        )
    plain, layers = folders.split(base)
    known = bases().get(plain)
    source, shown = base, base
    if Path(plain).is_dir():
        cut = f"@layers={layers}" if layers else ""
        source, shown = f"{Path(plain).resolve()}{cut}", f"{Path(plain).resolve().name}{cut}"
    elif plain in cards():
        raise UserError(
            f"{plain} is an embedding model, no language model to take as it is.",
            f"Type {plain} alone, or {form}(BASE) with a base: {', '.join(bases())}.",
        )
    elif not known and plain.count("/") != 1:
        more = f"Type {form}(BASE), where BASE is {', '.join(bases())}, a hub id, or a folder."
        raise unknown("base", base, bases(), more)
    of_all: dict[str, Any] = {
        "name": f"{form}({shown})",
        "source": source,
        "description": f"{plain} without training: {form}.",
        "licence": known.licence if known else "",
        "base": shown,
    }
    if form == RERANKER:
        return Card(**of_all, method=RERANKER, kind=Kind.CROSS, attention="causal")
    return Card(
        **of_all,
        method=METHOD,
        pooling=_POOLING.get(form, "last token"),
        attention="bidirectional" if form == "bidirectional" else "causal",
        similarity="cosine",
        settings={"form": form},
    )


def _closes(text: str) -> bool:
    """Whether every parenthesis in it closes within it: not so in the middle of `a) >> f(b`."""
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0
