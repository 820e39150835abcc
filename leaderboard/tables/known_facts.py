"""Facts of models, as the store's details hold them: from cards and from mteb's registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from leaderboard.tables.table import Column

UNKNOWN = "unknown"
FEW = 3  # languages that are named; of more, how many


@dataclass(frozen=True)
class Facts:
    """What is known of a model; None where nobody has said."""

    parameters: int | None = None
    dimensions: int | None = None  # of its vectors in full
    max_tokens: int | None = None  # that it reads of a text
    licence: str | None = None
    open_weights: bool | None = None
    release_date: str | None = None  # as 2024-05-27
    languages: list[str] | None = None  # as eng-Latn
    instruction_tuned: bool | None = None  # whether it takes instructions or prompts, as in mteb
    link: str | None = None  # its page on the hub, or the maker's
    paper: str | None = None


def facts_of(details: Mapping[str, Any]) -> Facts:
    """The facts in a model's details (`leaderboard.records.Model`). A value of the wrong type is
    none: stores come from anywhere.
    """
    source, paper = details.get("source"), details.get("paper")
    is_hub = isinstance(source, str) and source.count("/") == 1 and source[0] not in "/.~"
    return Facts(
        parameters=_count(details.get("parameters")),
        dimensions=_count(details.get("dim")),
        max_tokens=_count(details.get("max_length")),
        licence=_licence(details.get("licence")),
        open_weights=_truth(details.get("public")),
        release_date=_text(details.get("release_date")),
        languages=_texts(details.get("languages")),
        instruction_tuned=_truth(details.get("instructions")),
        link=_address(details.get("link"))
        or (f"https://huggingface.co/{source}" if is_hub else None),
        paper=_address(
            f"https://arxiv.org/abs/{paper[6:]}"
            if isinstance(paper, str) and paper.startswith("arXiv:")
            else paper
        ),
    )


def trained_on(details: Mapping[str, Any]) -> list[str] | None:
    """The tasks that a model was trained on, by its details; None where nobody has said."""
    value = details.get("training_datasets")
    return list(map(str, value)) if isinstance(value, list) else None


def columns(known: Sequence[Facts], unknown: str | None = None) -> dict[str, Column]:
    """A column of each fact, by its name in words: "max tokens".

    Args:
        known: of each row.
        unknown: stands for what is not known.
    """
    return {
        (name := field.name.replace("_", " ")): Column(
            name, [in_words(getattr(each, field.name), unknown) for each in known]
        )
        for field in fields(Facts)
    }


def in_words(value: Any, unknown: str | None = UNKNOWN) -> Any:
    """A fact as a cell: numbers and texts as they are, yes or no, few languages or their number."""
    if value is None:
        return unknown
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) if len(value) <= FEW else f"{len(value)} languages"
    return value


def _count(value: Any) -> int | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if number and 0 <= value < 2**63 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _licence(value: Any) -> str | None:
    """As mteb writes it, in small letters: apache-2.0; or an address, as it is."""
    text = _text(value)
    return text if text is None or "://" in text else text.lower()


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _texts(value: Any) -> list[str] | None:
    return [str(each) for each in value] if isinstance(value, list) and value else None


def _address(value: Any) -> str | None:
    """An address of the web: nothing that a click would run."""
    is_web = isinstance(value, str) and value.startswith(("https://", "http://"))
    return value if is_web else None
