"""Model cards: what embedlab knows of a model, as TOML in data/models/."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from embedlab import toml_files
from embedlab.models.kinds import Kind
from embedlab.resources import DATA


@dataclass(frozen=True)
class Card:
    """One model. The TOML file's keys are these fields;
    its name is the file's name without the ending.
    """

    name: str
    method: str  # the key of embedlab.encoders.METHODS, or "bm25"
    source: str = ""  # hub id, or empty where no public weights exist
    revision: str = ""
    kind: Kind = Kind.DENSE
    description: str = ""
    paper: str = ""  # arXiv:id
    licence: str = ""
    public: bool = True  # weights can be had
    gated: bool = False  # ... after accepting terms on the hub
    dim: int = 0  # full output dimension (vocabulary size for sparse models)
    layers: int = 0
    parameters: int = 0
    max_length: int = 0  # tokens
    attention: str = ""  # bidirectional | causal
    pooling: str = ""
    similarity: str = ""  # cosine | dot | euclidean | manhattan; empty: as the loaded model says
    base: str = ""  # backbone the method was published on
    dtype: str = ""  # dtype of the published weights
    backend: str = ""  # what runs the backbone, where that is not torch (`backends`)
    # By role (query, document), task type or task name.
    prompts: dict[str, str] = field(default_factory=dict)
    instruction: str = ""  # template with {instruction}, filled with the task's own instruction
    instruct_documents: bool = False  # the instruction also precedes documents of asymmetric tasks
    # Hub id in mteb's registry, for a model whose prompts are those that mteb gives it.
    registry: str = ""
    group: str = ""  # a name that stands for all its cards in `embedlab eval --model`
    checkpoint: str = ""  # folder under data/checkpoints, for weights that ship with embedlab
    # A Python package that carries the same weights, with their sha256.
    offline: dict[str, Any] = field(default_factory=dict)
    # Keyword arguments of the method's loader.
    settings: dict[str, Any] = field(default_factory=dict)
    published: list[dict[str, Any]] = field(default_factory=list)  # {task, metric, score, source}
    notes: str = ""
    # Of a model under settings (`model_settings`): the model's name without them, what was chosen,
    # and the user's card that says so.
    origin: str = ""
    chosen: dict[str, Any] = field(default_factory=dict)
    file: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Kind(self.kind))  # a TOML file has its name


def expand(names: Sequence[str]) -> list[str]:
    """`names` with each group (`minis`) replaced by its cards' names, each name once."""
    groups: dict[str, list[str]] = {}
    for card in cards().values():
        if card.group:
            groups.setdefault(card.group, []).append(card.name)
    return list(dict.fromkeys(member for name in names for member in groups.get(name, [name])))


@cache
def cards() -> dict[str, Card]:
    """All cards by name.

    Raises:
        UserError: a card has a key that is not a field of `Card`, a value of another type, or is no
            TOML.
    """
    by_name = {}
    for path in sorted((DATA / "models").glob("*.toml")):
        given = {"name": path.stem}
        hint = "Its keys are the fields of embedlab.models.cards.Card."
        by_name[path.stem] = toml_files.read_as(Card, path, "model card", hint=hint, given=given)
    return by_name
