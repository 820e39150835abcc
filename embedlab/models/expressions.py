"""Composed retrievers in words.

    expression := operand >> stage >> ...          each stage puts in order what comes before it
    operand    := model | model@index              bm25, all-minilm-l6-v2@faiss:hnsw32,efSearch=64
                | mean(BASE), eol(BASE) ...        a language model without training
                | rrf(expression, ..., k=60, depth=1000, weights=1/2)
                | weighted(expression, ..., weights=0.3/0.7, normalise=z-score, depth=1000)
                | (expression)
    stage      := model | rerank(model, depth=100)

A model is anything that `--model` takes; an index is a factory string of `retrievers`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import retrievers
from embedlab.errors import UserError, unknown
from embedlab.models import backends, quoted, training_free_names
from embedlab.servers import server_names
from retrievers.pipelines.rerank import Rerank
from retrievers.registry import canonical

EXAMPLES = (
    "rrf(bm25, all-minilm-l6-v2), weighted(bm25, MODEL, weights=0.3/0.7), bm25 >> CROSS-ENCODER, "
    "mean(BASE)"
)
_FUSIONS: dict[str, Callable[..., retrievers.Retriever]] = {
    "rrf": retrievers.rrf,
    "weighted": retrievers.weighted,
}


def _weights(text: str) -> list[float]:
    return [float(weight) for weight in text.split("/")]


_SETTINGS: dict[str, dict[str, Callable[[str], Any]]] = {
    "rrf": {"k": int, "depth": int, "weights": _weights},
    "weighted": {"weights": _weights, "normalise": str, "depth": int},
    "rerank": {"depth": int},
}
_CALL = re.compile(r"([\w-]+)\s*\((.*)\)", re.DOTALL)
_SETTING = re.compile(r"(\w+)\s*=\s*(.*)", re.DOTALL)
_LONGEST, _DEEPEST = 10_000, 50  # characters of an expression, parentheses open at once
_CODE = re.compile(r"flat|sq\d+|pq\d+", re.IGNORECASE)  # the second word of faiss:ivf64,pq48


@dataclass(frozen=True)
class Leaf:
    """A model that finds documents by itself, and the index that it was given here, if any."""

    name: str
    index: str = ""

    def __str__(self) -> str:
        return f"{self.name}@{self.index}" if self.index else self.name

    def leaves(self) -> list["Leaf"]:
        """The models that find documents, from left to right."""
        return [self]

    def stages(self) -> list[str]:
        """The models that rerank, from left to right."""
        return []

    def named(self, name: Callable[[str], str]) -> "Leaf":
        """The same with other names of the models."""
        return replace(self, name=name(self.name))

    def built(
        self, leaf: Callable[["Leaf"], retrievers.Retriever], stage: Callable[[str, int], Rerank]
    ) -> retrievers.Retriever:
        """The retriever that the expression describes.

        Args:
            leaf: makes the retriever of a leaf; called from left to right.
            stage: makes the stage of a reranker from its name and depth.
        """
        return leaf(self)


@dataclass(frozen=True)
class Fused:
    """Several retrievers as one; `settings` as they were written."""

    function: str
    parts: tuple["Expression", ...]
    settings: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        arguments = [*map(str, self.parts), *(f"{name}={value}" for name, value in self.settings)]
        return f"{self.function}({', '.join(arguments)})"

    def leaves(self) -> list[Leaf]:
        return [leaf for part in self.parts for leaf in part.leaves()]

    def stages(self) -> list[str]:
        return [stage for part in self.parts for stage in part.stages()]

    def named(self, name: Callable[[str], str]) -> "Fused":
        return replace(self, parts=tuple(part.named(name) for part in self.parts))

    def built(
        self, leaf: Callable[["Leaf"], retrievers.Retriever], stage: Callable[[str, int], Rerank]
    ) -> retrievers.Retriever:
        return _FUSIONS[self.function](
            *(part.built(leaf, stage) for part in self.parts),
            **_values(self.function, self.settings),
        )


@dataclass(frozen=True)
class Reranked:
    """A retriever, and a model that puts the first `depth` documents in order."""

    first: "Expression"
    model: str
    depth: int = 100

    def __str__(self) -> str:
        return f"{self.first} >> " + (
            self.model if self.depth == 100 else f"rerank({self.model}, depth={self.depth})"
        )

    def leaves(self) -> list[Leaf]:
        return self.first.leaves()

    def stages(self) -> list[str]:
        return [*self.first.stages(), self.model]

    def named(self, name: Callable[[str], str]) -> "Reranked":
        return replace(self, first=self.first.named(name), model=name(self.model))

    def built(
        self, leaf: Callable[["Leaf"], retrievers.Retriever], stage: Callable[[str, int], Rerank]
    ) -> retrievers.Retriever:
        return self.first.built(leaf, stage) >> stage(self.model, self.depth)


Expression = Leaf | Fused | Reranked


def is_composed(text: str) -> bool:
    """Whether a model's name is an expression of several."""
    hidden = quoted.masked(text)
    if ">>" not in hidden and training_free_names.split(hidden):
        return False
    calls = re.match(r"\s*\(*\s*[\w-]+\s*\(", hidden) is not None
    return (">>" in hidden or calls) and not _is_folder(text)


def _is_there(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except (OSError, ValueError):  # longer than a path may be, or with a null byte
        return False


def names(text: str) -> list[str]:
    """The models named in an expression, or the one model that `text` is; without their indexes."""
    tree = parse(text) if is_composed(text) else Leaf(text)
    return list(dict.fromkeys([*(leaf.name for leaf in tree.leaves()), *tree.stages()]))


def continues(word: str) -> bool:
    """Whether a word behind a comma belongs to the index before it:
    `nprobe=8`, or `pq48` in `faiss:ivf64,pq48`.
    """
    return bool(_SETTING.fullmatch(word) or _CODE.fullmatch(word))


def parse(text: str) -> Expression:
    """Read an expression.

    Raises:
        UserError: it is malformed; a function, a setting or an index in it is unknown, or a value
            does not fit.
    """
    if len(text) > _LONGEST:
        raise UserError(
            f"The expression is {len(text):,} characters long.", f"Up to {_LONGEST:,} are read."
        )
    if _nesting(text) > _DEEPEST:
        raise UserError(
            f"The expression is nested {_nesting(text)} deep.", f"Up to {_DEEPEST} levels are read."
        )
    tree = _expression(text)
    # What the retrievers themselves refuse
    # (too few parts, weights that do not fit), before any model is loaded.
    tree.built(
        lambda leaf: retrievers.make("torch"), lambda model, depth: retrievers.rerank(len, depth)
    )
    return tree


def _nesting(text: str) -> int:
    """The most parentheses open at once."""
    steps = ((character == "(") - (character == ")") for character in quoted.masked(text))
    return max(accumulate(steps), default=0)


def _expression(text: str) -> Expression:
    first, *stages = split(text, ">>")
    tree = _operand(first)
    for stage in stages:
        call = None if training_free_names.split(stage) else _CALL.fullmatch(stage)
        if call and call[1] not in _SETTINGS:
            raise unknown("function", call[1], _SETTINGS, "A stage reads rerank(MODEL, depth=100).")
        if call and call[1] != "rerank":
            raise UserError(
                f"{stage} stands behind >>.",
                "Only a model that reranks can: bm25 >> CROSS-ENCODER.",
            )
        words, settings = _arguments("rerank", call[2]) if call else ([stage], ())
        if len(words) != 1:
            raise UserError(
                f"{stage} names {len(words)} models.",
                "A stage is one model: rerank(MODEL, depth=100).",
            )
        tree = Reranked(tree, _asked_to_rerank(words[0]), **_values("rerank", settings))
    return tree


def _asked_to_rerank(name: str) -> str:
    """A model behind a server under the name that says what is asked of it: its scores, where the
    name does not say (`embedlab.models.served.server_models`).
    """
    if not server_names.is_server(name) or re.search(r"[?&]api=", name):
        return name
    return f"{name}{'&' if '?' in name else '?'}api=rerank"


def _operand(text: str) -> Expression:
    if text.startswith("(") and text.endswith(")"):
        return _expression(text[1:-1])
    call = None if training_free_names.split(text) else _CALL.fullmatch(quoted.masked(text))
    if not call:
        return _leaf(text)
    call = _CALL.fullmatch(text)
    assert call  # as it is with its quotes masked
    if call[1] not in _FUSIONS:
        more = (
            "A reranker stands behind >>: bm25 >> MODEL."
            if call[1] == "rerank"
            else f"Valid: {EXAMPLES}."
        )
        raise unknown("function", call[1], [*_FUSIONS, *training_free_names.FORMS], more)
    parts, settings = _arguments(call[1], call[2])
    if len(parts) == 1:
        raise UserError(
            f"{text}: {call[1]} needs two models or more, and {parts[0]!r} is one.",
            (
                f"Separate them by commas: {call[1]}({', '.join(parts[0].split())})"
                if " " in parts[0]
                else f"Type: {call[1]}({parts[0]}, ANOTHER)"
            ),
        )
    return Fused(call[1], tuple(_expression(part) for part in parts), settings)


def _leaf(text: str) -> Leaf:
    at = quoted.masked(text).rfind("@")
    name, index = text[: max(at, 0)], text[at + 1 :]
    # smollm2-135m@layers=12, all-minilm-l6-v2@onnx
    of_a_base = ")" in index or index.startswith("layers=") or backends.ends_with_one(text)
    return (
        Leaf(text)
        if at < 0 or of_a_base or _is_there(text)
        else Leaf(name.strip(), canonical(index) if index.strip() else "")
    )


def _arguments(function: str, text: str) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """The parts and the settings between a function's parentheses;
    an index keeps the commas of its own settings.
    """
    parts: list[str] = []
    settings = {}
    for word in split(text, ",", ";"):
        setting = _SETTING.fullmatch(word)
        if setting and setting[1] in _SETTINGS[function]:
            settings[setting[1]] = setting[2]
        elif continues(word) and parts and "@" in parts[-1]:
            parts[-1] += f",{word}"
        elif setting:
            raise UserError(
                f"{function} has no setting {setting[1]!r}.",
                f"It has: {', '.join(_SETTINGS[function])}.",
            )
        else:
            parts.append(word)
    return parts, tuple((name, settings[name]) for name in _SETTINGS[function] if name in settings)


def _values(function: str, settings: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    values = {}
    for name, text in settings:
        try:
            values[name] = _SETTINGS[function][name](text)
        except ValueError:
            form = (
                "numbers with / between them, such as 0.3/0.7"
                if name == "weights"
                else "a whole number"
            )
            raise UserError(f"{function} has {name}={text!r}.", f"Give {form}.") from None
    return values


def split(text: str, *separators: str) -> list[str]:
    """The words between separators that stand outside all parentheses."""
    words = list(_words(text, separators))
    if not all(words):
        raise UserError(f"A part of {text.strip()!r} is empty.", f"Valid: {EXAMPLES}.")
    return words


def _words(text: str, separators: tuple[str, ...]) -> Iterator[str]:
    depth = start = 0
    hidden = quoted.masked(text)
    for place, character in enumerate(hidden):
        depth += (character == "(") - (character == ")")
        separator = next((s for s in separators if hidden.startswith(s, place)), "")
        if depth < 0:
            break
        if depth == 0 and separator:
            yield text[start:place].strip()
            start = place + len(separator)
    if depth:
        raise UserError(f"The parentheses of {text.strip()!r} do not match.", f"Valid: {EXAMPLES}.")
    yield text[start:].strip()
