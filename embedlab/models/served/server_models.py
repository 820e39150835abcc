"""Models behind a server as models like all others: a card, settings, an identity.

Of what runs at the address nobody knows more than it says. What identifies the model is the
address, its name there and the settings; `revision=WORD` tells apart what the server changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from embedlab.errors import UserError, unknown
from embedlab.models.cards import Card
from embedlab.models.kinds import Kind
from embedlab.models.loaded_model import LoadedModel
from embedlab.models.settings import common_settings, model_settings
from embedlab.options import ServerOptions
from embedlab.resources import DATA, home
from embedlab.servers import server_names
from embedlab.servers.prices import Price, price_of
from embedlab.servers.requests_in_flight import Sent
from embedlab.servers.served_models import ServedEmbedder
from embedlab.servers.server_names import Address

METHOD = "server"
ROLES = ("query", "document", "text")
# What is asked of the server: its vectors, its scores, or a language model's opinion.
APIS = ("embeddings", "rerank", "pointwise", "listwise")
_BATCH_TOKENS = 65_536  # of one request; OpenAI takes 300,000


# Settings of an embedder: of its vectors, and (the rest) of what is sent or how they are compared.
_SHAPING = ("dimensions", "encoding", "max_length", *(f"input_type.{role}" for role in ROLES))
_COMMON = ("similarity", "instruction", "max_length")
_ENCODINGS = ("base64", "float")


def card(name: str) -> Card:
    """The card of the model behind a server that a name leads to.

    Settings behind it: `api`; `revision`, a word that tells apart what the server changed; of
    embeddings `dimensions`, `encoding` (base64 or float), `input_type.query` and `.document` (what
    the server calls a role), `max_length` (vLLM's truncate_prompt_tokens), `similarity`,
    `instruction`, and prompts as all models have them.

    Raises:
        UserError: the name leads nowhere, or has a setting that there is not.
    """
    server_names.refuse_secrets(name)
    plain, settings = model_settings.split(name.strip())
    address = server_names.address(plain)
    if address.route == "url":  # however its address was typed
        plain = address.source
    api = settings.get("api", "embeddings")
    _check(settings, api)
    embeds = api == "embeddings"
    return Card(
        name=f"{plain}?{model_settings.written(settings)}" if settings else plain,
        method=METHOD,
        source=address.source,
        revision=settings.get("revision", ""),
        kind=Kind.DENSE if embeds else Kind.CROSS,
        description=f"{address.model} at {address.place}.",
        similarity=settings.get("similarity", "cosine") if embeds else "",
        max_length=settings.get("max_length", 0),
        settings={"api": api, **{key: settings[key] for key in _SHAPING if key in settings}},
        origin=plain if settings else "",
        chosen=settings,
    )


def _check(settings: Mapping[str, Any], api: Any) -> None:
    if api not in APIS:
        raise unknown("api", str(api), APIS, f"Valid: {', '.join(APIS)}.")
    valid = ["api", "revision"]
    if api == "embeddings":
        valid += [*_SHAPING, *_COMMON, "prompt.query", "prompt.document"]
    for key, value in settings.items():
        prompt = api == "embeddings" and common_settings.is_prompt(key)
        if key not in valid and not prompt:
            hint = f"Valid: {', '.join(dict.fromkeys(valid))}."
            raise unknown(f"setting of a model behind a server (api={api})", key, valid, hint)
        if key == "dimensions" and not (type(value) is int and value > 0):
            raise UserError(f"{key} is {value!r}.", f"Give a whole number from 1: {key}=256")
        if key == "encoding" and value not in _ENCODINGS:
            raise unknown(key, str(value), _ENCODINGS, f"Valid: {', '.join(_ENCODINGS)}.")
        if key.startswith("input_type.") and not isinstance(value, str):
            raise UserError(f"{key} is {value!r}, which is no word.", f"Type {key}=search_query.")
    common_settings.check_values(settings)


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

    def stated_price(self) -> str:
        """A line that says what it costs; "" of your own server's, which nobody named.

        Raises:
            UserError: there is a budget, and the price is not known.
        """
        if self.price:
            return f"{self.name} costs {self.price}."
        if self.options.budget is not None:
            raise UserError(
                f"The price of {self.name} is not known, and --budget is given.",
                "Leave --budget out, or name its price (0 where it costs nothing) in prices.toml in"
                " EMBEDLAB_HOME (docs/servers.md).",
            )
        return "" if self.address.route == "url" else f"The price of {self.name} is not known."

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
        """Vectors, float32 `[n, d]`; of a single text, `[d]`.

        Raises:
            UserError: the server gives none, or wrong ones.
        """
        if isinstance(texts, str):
            vector: np.ndarray = self.encode([texts], role=role, prompt=prompt)[0]
            return vector
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
