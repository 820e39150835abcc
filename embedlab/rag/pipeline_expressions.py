"""RAG pipelines in words, from left to right what happens to a question.

    pipeline  := [rewriter |] retriever [| noise] [| refiner] [| order] [| generator]
    rewriter  := rewrite(LLM) or hyde(LLM) or multi(LLM, n=3)
    retriever := a saved index's folder, a model, or an expression of several
                 (`embedlab.models.expressions`), in parentheses or without
    noise     := noise(random, n=2) or noise(adversarial, n=2)
    refiner   := refine(LLM) or extract(EMBEDDER, n=3)
    order     := order(reverse) or order(sides)
    generator := generate(LLM, prompt=FILE)

An LLM is anything that `--generator` takes, with the settings model, max_tokens and temperature.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from embedlab.errors import UserError, unknown
from embedlab.models import expressions

EXAMPLE = "hyde(LLM) | rrf(bm25, MODEL) >> RERANKER | refine(LLM) | order(reverse) | generate(LLM)"
ORDERS = ("best-first", "reverse", "sides")
NOISES = ("random", "adversarial")
_LLM: dict[str, Callable[[str], Any]] = {"model": str, "max_tokens": int, "temperature": float}
_LEAST = {"n": 1, "max_tokens": 1, "temperature": 0}
# function -> its place among the stages, and its settings.
_STAGES: dict[str, tuple[str, dict[str, Callable[[str], Any]]]] = {
    "rewrite": ("rewriter", _LLM),
    "hyde": ("rewriter", _LLM),
    "multi": ("rewriter", {"n": int, **_LLM}),
    "noise": ("noise", {"n": int}),
    "refine": ("refiner", _LLM),
    "extract": ("refiner", {"n": int}),
    "order": ("order", {}),
    "generate": ("generator", {"prompt": Path, **_LLM}),
}
_PLACES = ("rewriter", "retriever", "noise", "refiner", "order", "generator")
_CHOICES = {"noise": NOISES, "order": ORDERS}


@dataclass(frozen=True)
class Stage:
    """A step of a pipeline, as it was written."""

    function: str
    argument: str
    settings: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        settings = (f"{name}={value}" for name, value in self.settings)
        return f"{self.function}({', '.join([self.argument, *settings])})"

    def shown(self, name: str, *settings: str) -> str:
        """The step with its model's name, and those of these settings that were written."""
        said = (f"{key}={value}" for key, value in self.settings if key in settings)
        return f"{self.function}({', '.join([name, *said])})"

    def setting(self, name: str, default: Any) -> Any:
        """The value of a setting, or the default where it was not written."""
        return dict(self.settings).get(name, default)


@dataclass(frozen=True)
class PipelineSpec:
    """A pipeline as it was asked for; None: without such a step, or the usual value."""

    retriever: str
    rewriter: Stage | None = None
    noise: Stage | None = None
    refiner: Stage | None = None
    order: Stage | None = None
    generator: Stage | None = None
    k: int | None = None
    prompt: Path | None = None


def parse(text: str) -> PipelineSpec:
    """Read a pipeline.

    Raises:
        UserError: a step or a setting is unknown, comes twice or in the wrong place, or there is no
            retriever.
    """
    found: dict[str, Any] = {}
    last = -1
    for part in expressions.split(text, "|"):
        stage = _stage(part)
        place = _STAGES[stage.function][0] if stage else "retriever"
        if place in found:
            raise UserError(f"{text!r} has two steps of the kind {place}.", f"Type: {EXAMPLE}")
        if _PLACES.index(place) < last:
            raise UserError(
                f"{part} stands in the wrong place.", f"The order is: {' | '.join(_PLACES)}."
            )
        last = _PLACES.index(place)
        found[place] = stage or _bare(part)
    if "retriever" not in found:
        raise UserError(f"{text!r} has no retriever.", f"Type: {EXAMPLE}")
    prompt = found["generator"].setting("prompt", None) if "generator" in found else None
    return PipelineSpec(**found, prompt=prompt)


def grid(
    specs: Sequence[PipelineSpec],
    *,
    k: Sequence[int] = (),
    noise: Sequence[str] = (),
    order: Sequence[str] = (),
    generator: Sequence[Stage] = (),
    prompt: Sequence[Path] = (),
) -> list[PipelineSpec]:
    """Every pipeline with every value of what is asked for beside it, each once.

    Raises:
        UserError: a pipeline says already what an option asks for.
    """
    axes: dict[str, list[Any]] = {
        "k": list(k),
        "noise": [None if each == "none" else _option("noise", each) for each in noise],
        "order": [None if each == "best-first" else _option("order", each) for each in order],
        "generator": list(generator),
        "prompt": list(prompt),
    }
    asked = {name: values for name, values in axes.items() if values}
    for spec in specs:
        for name in asked:
            if getattr(spec, name) is not None:
                raise UserError(
                    f"The pipeline has its {name}, and --{name} asks for another.",
                    "Leave one of them out.",
                )
    return list(dict.fromkeys(_combined(specs, asked)))


def _combined(specs: Sequence[PipelineSpec], asked: dict[str, list[Any]]) -> Iterator[PipelineSpec]:
    for spec in specs:
        for values in product(*asked.values()):
            yield replace(spec, **dict(zip(asked, values, strict=True)))


def _option(function: str, text: str) -> Stage:
    """A step from an option: `reverse`, `random` or `random:3`."""
    name, colon, number = text.partition(":")
    if function == "order" and colon:
        name = text
    if colon and not (number.isdecimal() and int(number) > 0) and function == "noise":
        raise UserError(f"--noise {text!r} has no number of documents.", "Type: --noise random:2")
    return _checked(Stage(function, name, (("n", int(number)),) if name != text else ()))


def _stage(text: str) -> Stage | None:
    """A step; None where it is a retriever."""
    function, parenthesis, rest = text.partition("(")
    function = function.strip()
    if function not in _STAGES or not parenthesis or not text.endswith(")"):
        return None
    known = _STAGES[function][1]
    settings: dict[str, Any] = {}
    words = []
    for word in expressions.split(rest[:-1], ","):
        name, equals, value = word.partition("=")
        if not equals or not name.strip().isidentifier():
            words.append(word)
            continue
        name = name.strip()
        if name not in known:
            raise unknown(f"setting of {function}", name, known, f"It has: {', '.join(known)}.")
        try:
            settings[name] = known[name](value.strip())
        except ValueError:
            raise UserError(f"{function} has {name}={value!r}.", "Give a number.") from None
        least = _LEAST.get(name)
        if least is not None and not least <= settings[name] < float("inf"):
            raise UserError(f"{function} has {name}={value}.", f"Give a number from {least}.")
    if len(words) != 1:
        raise UserError(f"{text} names {len(words)} things.", f"Type one: {EXAMPLE}")
    ordered = tuple((name, settings[name]) for name in known if name in settings)
    return _checked(Stage(function, words[0], ordered))


def _checked(stage: Stage) -> Stage:
    choices = _CHOICES.get(stage.function)
    if choices and stage.argument not in choices:
        raise unknown(stage.function, stage.argument, choices, f"Valid: {', '.join(choices)}.")
    return stage


def _bare(text: str) -> str:
    """A retriever without the parentheses around the whole of it."""
    if text.startswith("(") and text.endswith(")"):
        try:
            expressions.split(text[1:-1], "|")
        except UserError:  # the two belong to different pairs
            return text
        return text[1:-1].strip()
    return text
