"""What a generator is: it turns prompts into answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Generated:
    """An answer, and the tokens read and written for it; None where a server does not count them.

    cut: whether the answer was still going on when it had all its tokens.
    seconds: from the prompt to the answer; of a batch, its share. price: US dollars; None where
    nobody knows, or nobody asks for money.
    """

    text: str
    prompt_tokens: int | None
    answer_tokens: int | None
    cut: bool = False
    seconds: float = field(default=0.0, compare=False)
    price: float | None = field(default=None, compare=False)


def costs_of(generated: Generated, stage: str, prefix: str = "") -> dict[str, float]:
    """What a generation cost, as an answer records it: its stage's seconds, its tokens, its price.

    Args:
        prefix: of the tokens' names.
    """
    costs = {f"{stage}_seconds": generated.seconds}
    for name in ("prompt_tokens", "answer_tokens"):
        if (count := getattr(generated, name)) is not None:
            costs[f"{prefix}{name}"] = count
    if generated.price is not None:
        costs["price"] = generated.price
    return costs


USUAL = {"max_tokens": 64, "temperature": 0.0}  # of the generator of answers
_COMPUTED = ("device", "dtype", "dtype_reason", "chat_template", "lines")  # how, not what is asked


def display_name(generator: "Generator") -> str:
    """The name of a generator of answers, with those of its settings that are not as usual."""
    said = [
        f"{name}={value}"
        for name, value in generator.settings.items()
        if name not in _COMPUTED and value != USUAL.get(name)
    ]
    return f"{generator.name}({', '.join(said)})" if said else generator.name


class Generator(Protocol):
    """name: as shown; identity: changes whenever the answers would;
    settings: those of it, as recorded; url: of the server, empty on this machine.

    sent: the settings that the model takes, where it does not take all.
    """

    name: str
    identity: str
    url: str
    settings: dict[str, Any]
    sent: dict[str, Any]

    def tokens(self, text: str) -> int:
        """How many tokens a text has; about so many where the model is behind a server."""

    def fits(self, prompt: str) -> bool:
        """Whether the prompt leaves room for an answer, as far as is known."""

    def generate(self, prompt: str) -> Generated:
        """The answer to a prompt."""

    def generate_all(self, prompts: Sequence[str]) -> Iterator[tuple[int, Generated]]:
        """Each prompt's place and answer, as they come."""
