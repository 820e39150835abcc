"""How documents are cut and scored, from what one types: "tokens:size=256,overlap=32,over=max"."""

from collections.abc import Mapping
from dataclasses import dataclass

from embedlab.errors import UserError, unknown

METHODS = ("tokens", "sentences", "headings")
# MaxP, AvgP and FirstP of Dai & Callan (2019, arXiv:1905.09217), section 3.
OVER = ("max", "mean", "first")
_FORM = "Type for example: --chunk tokens:size=128,overlap=16 or --chunk sentences:over=mean"


@dataclass(frozen=True)
class Chunking:
    """A way to cut documents.

    Attributes:
        method: tokens: as many as fit, whole words; sentences: as many whole ones as fit; headings:
            the sections of Markdown, longer ones cut by tokens.
        size: tokens of a chunk, as the model counts them: prompt and special tokens included; as
            many as the model reads where it is None.
        overlap: tokens that a chunk shares with the next where it is cut by tokens.
        over: a document's score is the max or mean of its chunks' scores, or that of the first.
    """

    method: str
    size: int | None = None
    overlap: int = 0
    over: str = "max"

    @property
    def settings(self) -> dict[str, str]:
        """What is recorded with a score, each setting alone, so that two spellings are one."""
        named = {
            "chunk": self.method,
            "chunk_size": str(self.size or ""),
            "chunk_overlap": str(self.overlap or ""),
            "chunk_over": self.over,
        }
        return {name: value for name, value in named.items() if value}


def typed(settings: Mapping[str, str]) -> str:
    """The chunking among the settings of a score, as `parse` reads it; empty where documents
    were whole.
    """
    if "chunk" not in settings:
        return ""
    named = {name: settings.get(f"chunk_{name}") for name in ("size", "overlap", "over")}
    parts = ",".join(f"{name}={value}" for name, value in named.items() if value)
    return f"{settings['chunk']}:{parts}"


def parse(spec: str) -> Chunking:
    """A chunking as one types it.

    Raises:
        UserError: it names no method or setting, or a number is none.
    """
    method, _, settings = spec.partition(":")
    if method not in METHODS:
        raise unknown("chunking", method, METHODS, f"Valid: {', '.join(METHODS)}. {_FORM}")
    given: dict[str, str] = {}
    for setting in filter(None, settings.split(",")):
        name, _, value = setting.partition("=")
        if name not in ("size", "overlap", "over") or name in given:
            raise UserError(f"--chunk {spec}: {setting!r} is no setting, or named twice.", _FORM)
        given[name] = value
    if given.get("over", "max") not in OVER:
        raise unknown("over", given["over"], OVER, f"Valid: {', '.join(OVER)}.")
    for name, least in (("size", 1), ("overlap", 0)):
        if name in given and not (given[name].isdecimal() and int(given[name]) >= least):
            raise UserError(f"--chunk {spec}: {name} is a number from {least}.", _FORM)
    size = int(given["size"]) if "size" in given else None
    overlap = int(given.get("overlap", 0))
    if size is not None and overlap >= size:
        raise UserError(f"--chunk {spec}: the overlap is as long as a chunk.", _FORM)
    return Chunking(method, size, overlap, given.get("over", "max"))
