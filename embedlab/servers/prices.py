"""What providers ask for a million tokens: data/prices.toml, and EMBEDLAB_HOME/prices.toml of the
user's own.
"""

from dataclasses import dataclass, field
from pathlib import Path

from embedlab import toml_files
from embedlab.servers.server_names import Address

_PER = 1_000_000


@dataclass(frozen=True)
class PriceList:
    """One source of prices, as the TOML file has it."""

    source: str  # where they were read
    date: str  # ... and when
    # US dollars of a million tokens, by the model as `--model` names it, without settings.
    million_tokens: dict[str, float] = field(default_factory=dict)
    # ... of a million tokens that it writes, where they have a price of their own.
    million_answer_tokens: dict[str, float] = field(default_factory=dict)
    # US dollars of a query with its candidates, where the provider counts these.
    query: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Price:
    """What a model costs, and where that was read."""

    token: float = 0.0  # US dollars
    query: float = 0.0
    source: str = ""
    answer_token: float = 0.0  # one that the model writes; 0: as one that it reads

    def of(self, tokens: float, queries: int = 0, answer_tokens: float = 0) -> float:
        """US dollars of so many tokens that are read, queries, and tokens that are written."""
        written = (self.answer_token or self.token) * answer_tokens
        return self.token * tokens + self.query * queries + written

    def __str__(self) -> str:
        each = f"{self.query:g} USD a query" if self.query else ""
        tokens = f"{self.token * _PER:g} USD a million tokens" if self.token or not each else ""
        return f"{', '.join(filter(None, (tokens, each)))}; {self.source}"


def price_of(address: Address, files: list[Path]) -> Price | None:
    """The price of a model; None where nobody knows.

    Args:
        files: price lists, the first that names the model counts.

    Raises:
        UserError: a file is no price list.
    """
    names = [f"{address.route}:{address.model}", address.source]
    for path in files:
        if not path.is_file():
            continue
        listed = toml_files.read_as(PriceList, path, "price list")
        for name in names:
            if name in listed.million_tokens or name in listed.query:
                million = listed.million_tokens.get(name, 0.0)
                said = f"{listed.source}, {listed.date}"
                written = listed.million_answer_tokens.get(name, 0.0) / _PER
                return Price(million / _PER, listed.query.get(name, 0.0), said, written)
    return None


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has: English has four or five bytes to a token, and this is to
    be rather too many.
    """
    return len(text.encode("utf-8", "surrogatepass")) * 2 // 7 + 2
