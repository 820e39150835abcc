"""A model ready to encode."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from embedlab.models.backends import BACKENDS
from embedlab.models.cards import Card
from embedlab.models.facts.fact_cache import Remembered
from embedlab.models.facts.model_facts import FACTS
from embedlab.models.files.digests import of_text


@dataclass
class LoadedModel:
    """A model ready to encode, and everything about how it came to be."""

    card: Card
    loader: Callable[[], Any] | None  # gives the encoder; None for bm25, a retriever of its own
    revision: str  # hub commit, or digest of what it was loaded from
    device: str = ""
    dtype: str = ""
    dtype_reason: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    code: str = ""  # digest of the method's own code; empty where sentence-transformers does it all
    chosen: dict[str, Any] = field(default_factory=dict)  # common settings (`common_settings`)
    # What of the checkpoint does not fit, where forced.
    misfit: dict[str, list[str]] = field(default_factory=dict)
    remembered: Remembered = field(default_factory=lambda: Remembered(None), repr=False)
    # Who encodes and searches for it in its place (`cluster.fleet.ModelFleet`).
    fleet: Any = field(default=None, repr=False)

    @cached_property
    def encoder(self) -> Any:
        """The SentenceTransformer, SparseEncoder or CrossEncoder,
        loaded when first asked for; None for bm25.
        """
        return self.loader() if self.loader else None

    def take_encoder_of(self, other: "LoadedModel | None") -> None:
        """Use what the other has loaded, where it is the same but for its prompts."""
        if other and "encoder" in vars(other) and self.remembered.is_of_the_same(other.remembered):
            self.encoder = other.encoder

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def identity(self) -> str:
        """What the vector store keys on:
        the weights, not the name they go by, and the code that reads them.
        """
        name = self.card.source or self.card.origin or self.card.name
        return " ".join(filter(None, (f"{name}@{self.revision}", self.code, self.runtime)))

    @property
    def runtime(self) -> str:
        """The backend with the package that runs it, and its version; empty for torch."""
        backend = BACKENDS.get(self.card.backend)
        return f"{backend.name} ({backend.runtime})" if backend else ""

    @property
    def recorded_revision(self) -> str:
        """The revision as runs record it: a card of the user's may say other things tomorrow."""
        return self.revision + self.card_mark

    @property
    def card_mark(self) -> str:
        """What a card of the user's says, as a digest for whatever goes by the model's name; empty
        without such a card.
        """
        if not self.card.file:
            return ""
        said = repr(sorted({**self.card.settings, **self.card.chosen}.items()))
        return f"+card-{of_text(said)[:8]}"

    @property
    def runs_elsewhere(self) -> bool:
        """Whether another runtime than torch runs the backbone."""
        return bool(self.card.backend) and BACKENDS[self.card.backend].exports

    def fact(self, name: str) -> Any:
        """One of `profile.FACTS`: asked of the encoder where it is loaded,
        else as it was when it was loaded last.
        """
        if "encoder" not in vars(self) and name in self.remembered:
            return self.remembered.get(name)
        return FACTS[name](self.encoder)
