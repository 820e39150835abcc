"""How documents are cut and scored, from what one types: "tokens:size=256,overlap=32,over=max"."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from embedlab.errors import UserError, unknown

METHODS = ("tokens", "sentences", "headings", "semantic")
# MaxP, AvgP and FirstP of Dai & Callan (2019, arXiv:1905.09217), section 3.
OVER = ("max", "mean", "first")
PARENTS = ("section", "document")
_FORM = "Type for example: --chunk tokens:size=128,overlap=16 or --chunk sentences:over=mean"


@dataclass(frozen=True)
class Chunking:
    """A way to cut documents.

    Attributes:
        method: tokens: as many as fit, whole words; sentences: as many whole ones as fit; headings:
            the sections of Markdown, semantic: from one change of subject to the next
            (`semantic.breaks`), longer ones of both cut by tokens.
        size: tokens of a chunk, as the model counts them: prompt and special tokens included; as
            many as the model reads where it is None. For bm25, words.
        overlap: tokens that a chunk shares with the next where it is cut by tokens.
        over: a document's score is the max or mean of its chunks' scores, or that of the first.
        late: chunks are pooled from the token vectors of the whole text (`late_chunks`).
        percentile: of semantic chunks: the share, in percent, of a document's neighbouring
            sentences that stay together.
        parent: what an index answers with in a chunk's place: the section or document around it.
    """

    method: str
    size: int | None = None
    overlap: int = 0
    over: str = "max"
    late: bool = False
    percentile: int = 95
    parent: str = ""

    def __str__(self) -> str:
        """As `parse` reads it, without what is so anyway: one spelling of one chunking."""
        said = [
            f"{each.name}={'yes' if value is True else value}"
            for each in fields(self)[1:]
            if (value := getattr(self, each.name)) != each.default
        ]
        return ":".join(filter(None, (self.method, ",".join(said))))

    @property
    def settings(self) -> dict[str, str]:
        """What is recorded with a score, each setting alone."""
        named = {
            "chunk": self.method,
            "chunk_size": str(self.size or ""),
            "chunk_overlap": str(self.overlap or ""),
            "chunk_over": self.over,
            "chunk_late": "yes" if self.late else "",
            "chunk_percentile": str(self.percentile) if self.method == "semantic" else "",
        }
        return {name: value for name, value in named.items() if value}


def typed(settings: Mapping[str, str]) -> str:
    """The chunking among the settings of a score, as `parse` reads it; empty where documents
    were whole.
    """
    if "chunk" not in settings:
        return ""
    named = {name: settings.get(f"chunk_{name}") for name in _READ}
    parts = ",".join(f"{name}={value}" for name, value in named.items() if value)
    return str(parse(f"{settings['chunk']}:{parts}"))


def parse(spec: str) -> Chunking:
    """A chunking as one types it.

    Raises:
        UserError: it names no method or setting, or a number is none.
    """
    method, _, settings = spec.partition(":")
    if method not in METHODS:
        raise unknown("chunking", method, METHODS, f"Valid: {', '.join(METHODS)}. {_FORM}")
    given: dict[str, Any] = {}
    for setting in filter(None, settings.split(",")):
        name, _, value = setting.partition("=")
        if name not in _READ or name in given:
            raise UserError(
                f"--chunk {spec}: {setting!r} is no setting, or named twice.",
                f"Valid: {', '.join(_READ)}. {_FORM}",
            )
        given[name] = _READ[name](spec, name, value)
    chunking = Chunking(method, **given)
    if chunking.size is not None and chunking.overlap >= chunking.size:
        raise UserError(f"--chunk {spec}: the overlap is as long as a chunk.", _FORM)
    if "percentile" in given and method != "semantic":
        raise UserError(
            f"--chunk {spec}: percentile is for semantic chunks.", "Leave it out, or type semantic."
        )
    return chunking


def _number(least: int, most: int | None = None) -> Callable[[str, str, str], int]:
    def read(spec: str, name: str, value: str) -> int:
        if value.isdecimal() and least <= int(value) <= (most or int(value)):
            return int(value)
        limit = f" to {most}" if most else ""
        raise UserError(f"--chunk {spec}: {name} is a number from {least}{limit}.", _FORM)

    return read


def _one_of(*valid: str) -> Callable[[str, str, str], str]:
    def read(spec: str, name: str, value: str) -> str:
        if value in valid:
            return value
        raise unknown(name, value, valid, f"Valid: {', '.join(valid)}.")

    return read


def _yes(spec: str, name: str, value: str) -> bool:
    return _one_of("yes", "no")(spec, name, value) == "yes"


_READ: dict[str, Callable[[str, str, str], Any]] = {
    "size": _number(1),
    "overlap": _number(0),
    "over": _one_of(*OVER),
    "late": _yes,
    "percentile": _number(1, 99),
    "parent": _one_of(*PARENTS),
}
