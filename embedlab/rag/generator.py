"""What a generator is: it turns a prompt into an answer."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Generated:
    """An answer, and the tokens read and written for it; None where a server does not count them.

    cut: whether the answer was still going on when it had all its tokens.
    """

    text: str
    prompt_tokens: int | None
    answer_tokens: int | None
    cut: bool = False


class Generator(Protocol):
    """name: as shown; identity: changes whenever the answers would;
    settings: those of it, as recorded.

    sent: the settings that the model takes, where it does not take all.
    """

    name: str
    identity: str
    settings: dict[str, Any]
    sent: dict[str, Any]

    def fits(self, prompt: str) -> bool:
        """Whether the prompt leaves room for an answer, as far as is known."""

    def generate(self, prompt: str) -> Generated:
        """The answer to a prompt."""
