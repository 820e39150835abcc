"""Models behind a server as models like all others: a card, settings, an identity.

Of what runs at the address nobody knows more than it says. What identifies the model is the
address, its name there and the settings; `revision=WORD` tells apart what the server changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from embedlab.errors import UserError, unknown
from embedlab.models import model_settings
from embedlab.models.cards import Card
from embedlab.models.kinds import Kind
from embedlab.models.loaded_model import LoadedModel
from embedlab.options import ServerOptions
from embedlab.resources import DATA, home
from embedlab.servers import server_names
from embedlab.servers.prices import Price, price_of
from embedlab.servers.requests_in_flight import Sent
from embedlab.servers.served_models import ServedEmbedder
from embedlab.servers.server_names import Address

METHOD = "server"
ROLES = ("query", "document", "text")
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
# What is asked of the server: its vectors, its scores, or a language model's opinion.
APIS = ("embeddings", "rerank", "pointwise", "listwise")
_BATCH_TOKENS = 65_536  # of one request; OpenAI takes 300,000


@dataclass(frozen=True)
class _Setting:
    help: str
    type: type = str
    valid: tuple[str, ...] = ()
    apis: tuple[str, ...] = APIS


SETTINGS = {
    "api": _Setting("What is asked of the server.", valid=APIS),
    "revision": _Setting("A word that tells apart what the server changed."),
    "dimensions": _Setting("The length of its vectors.", int, apis=("embeddings",)),
    "encoding": _Setting("How vectors travel.", valid=("base64", "float"), apis=("embeddings",)),
    "max_length": _Setting(
        "Tokens after which the server cuts a text (vLLM's truncate_prompt_tokens).",
        int,
        apis=("embeddings",),
    ),
    "similarity": _Setting("How vectors are compared.", valid=SIMILARITIES, apis=("embeddings",)),
    "instruction": _Setting("The template of queries, with {instruction}.", apis=("embeddings",)),
    **{
        f"input_type.{role}": _Setting(
            f"What the server calls a {role}, such as search_{role}.", apis=("embeddings",)
        )
        for role in ROLES
    },
}
_PROMPT = "prompt."  # prompt.query, prompt.document, prompt.TASK-query
_SHAPING = ("dimensions", "encoding", "max_length", *(f"input_type.{role}" for role in ROLES))


def card(name: str) -> Card:
    """The card of the model behind a server that a name leads to.

    Raises:
        UserError: the name leads nowhere, or has a setting that there is not.
    """
    plain, settings = model_settings.split(name.strip())
    address = server_names.address(plain)
    api = settings.get("api", "embeddings")
    for key, value in settings.items():
        _check(key, value, str(api))
    embeds = api == "embeddings"
    written = "&".join(f"{key}={value}" for key, value in sorted(settings.items()))
    return Card(
        name=f"{plain}?{written}" if written else plain,
        method=METHOD,
        source=address.source,
        revision=str(settings.get("revision", "")),
        kind=Kind.DENSE if embeds else Kind.CROSS,
        description=f"{address.model} at {address.place}.",
        similarity=settings.get("similarity", "cosine") if embeds else "",
        prompts={
            key.removeprefix(_PROMPT): value
            for key, value in settings.items()
            if key.startswith(_PROMPT)
        },
        instruction=settings.get("instruction", ""),
        settings={"api": api, **{key: settings[key] for key in _SHAPING if key in settings}},
    )


def _check(key: str, value: Any, api: str) -> None:
    if key.startswith(_PROMPT):
        if api != "embeddings" or not isinstance(value, str):
            raise UserError(f"{key}={value!r} is no prompt of embeddings.", "Leave it out.")
        return
    if key not in SETTINGS:
        valid = [*SETTINGS, "prompt.query", "prompt.document"]
        raise unknown(
            "setting of a model behind a server", key, valid, f"Valid: {', '.join(valid)}."
        )
    setting = SETTINGS[key]
    if setting.type is int and not (type(value) is int and value > 0):
        raise UserError(f"{key} is {value!r}.", f"Give a whole number from 1: {key}=256")
    if setting.type is str and key != "revision" and not isinstance(value, str):
        raise UserError(f"{key} is {value!r}, which is no text.", setting.help)
    if setting.valid and value not in setting.valid:
        raise unknown(key, str(value), setting.valid, f"Valid: {', '.join(setting.valid)}.")
    if api not in setting.apis:
        raise UserError(f"{key} has no effect on api={api}.", "Leave it out.")


@dataclass
class ServerModel(LoadedModel):
    """A model behind a server; `options` are set by whoever asks it."""

    address: Address = field(kw_only=True)
    options: ServerOptions = field(default_factory=ServerOptions, kw_only=True)
    batch_tokens: int = field(default=_BATCH_TOKENS, kw_only=True)

    def fact(self, name: str) -> Any:
        return {"views": "any", "prompts": {}}.get(name)

    @cached_property
    def price(self) -> Price | None:
        """What its tokens cost; None where nobody knows."""
        return price_of(self.address, [home() / "prices.toml", DATA / "prices.toml"])

    @cached_property
    def embedder(self) -> ServedEmbedder:
        return ServedEmbedder(
            self.address,
            self.price,
            self.options.in_flight,
            self.options.purse,
            settings=self.settings,
            input_types=input_types(self.address, self.settings),
            batch_texts=self.options.batch_texts,
            batch_tokens=self.batch_tokens,
        )

    @cached_property
    def encoder(self) -> Any:
        if self.settings["api"] == "embeddings":
            return ServerTexts(self)
        assert self.loader is not None
        return self.loader()


@dataclass
class ServerTexts:
    """A server's embeddings under sentence-transformers' names; nothing is kept.

    `prompts` by role precede texts where a call names none.
    """

    model: ServerModel
    prompts: dict[str, str] = field(default_factory=dict)

    def encode_query(self, texts: Sequence[str], **how: Any) -> np.ndarray:
        """Vectors of queries, float32 `[n, d]`."""
        return self.encode(texts, role="query", **how)

    def encode_document(self, texts: Sequence[str], **how: Any) -> np.ndarray:
        """Vectors of documents, float32 `[n, d]`."""
        return self.encode(texts, role="document", **how)

    def encode(
        self, texts: Sequence[str], *, role: str = "text", prompt: str | None = None, **_: Any
    ) -> np.ndarray:
        """Vectors, float32 `[n, d]`.

        Raises:
            UserError: the server gives none, or wrong ones.
        """
        head = self.prompts.get(role, "") if prompt is None else prompt
        rendered = [head + text for text in texts]
        sent = [n for n, text in enumerate(rendered) if text.strip() or self.sends_blank]
        rows: dict[int, np.ndarray] = {}

        def keep(places: Sequence[int], answer: Sent[np.ndarray]) -> None:
            rows.update(zip([sent[place] for place in places], answer.answer, strict=True))

        for _count in self.model.embedder.vectors([rendered[n] for n in sent], role, keep):
            pass
        width = len(next(iter(rows.values()))) if rows else len(self.model.embedder.one("a"))
        vectors = np.zeros((len(texts), width), dtype=np.float32)
        for place, row in rows.items():
            vectors[place] = row
        return vectors

    @property
    def sends_blank(self) -> bool:
        return self.model.embedder.sends_blank


def input_types(address: Address, settings: dict[str, Any]) -> dict[str, str]:
    """What the server calls each role: as the settings say, else as its provider does."""
    known: dict[str, str] = {}
    if address.route == "litellm":
        from embedlab.servers.litellm_route import INPUT_TYPES

        words = INPUT_TYPES.get(address.model.partition("/")[0], ())
        known = dict(zip(ROLES, words, strict=False))
    said = {role: settings.get(f"input_type.{role}") for role in ROLES}
    return known | {role: word for role, word in said.items() if word}
