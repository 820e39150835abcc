"""How an index cuts documents, as an option of commands."""

from dataclasses import dataclass

from embedlab.chunks.chunking import parse
from embedlab.option_fields import OptionGroup, option


@dataclass(frozen=True)
class ChunkOptions(OptionGroup):
    """How an index cuts documents.

    Raises:
        UserError: there is no such chunking.
    """

    chunk: str = option(
        "",
        "Documents in chunks, as eval has them: tokens:size=256,overlap=32, sentences, headings or"
        " semantic; over=max, mean or first; late=yes; parent=section or document answers with what"
        " is around a chunk. Whole by default.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = self.chunk in ("", "none")
        object.__setattr__(self, "chunk", "" if whole else str(parse(self.chunk)))
