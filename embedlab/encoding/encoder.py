"""The encode loop: texts to vectors, each text once, straight into the vector store.

Texts go longest first, so that an out-of-memory error shows at the start; a shard is encoded as a
whole and written before it counts, so that a killed run goes on at the next shard, with the same
batches and the same vectors. While the model works, one thread tokenises what comes next.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

import numpy as np
from scipy.sparse import csr_matrix

from embedlab.encoding.cost import Cost, LayerCost
from embedlab.encoding.running_model import RunningModel
from embedlab.encoding.vectors.keys import distinct, keys_and_lengths
from embedlab.encoding.vectors.stored_vectors import Vectors
from embedlab.encoding.vectors.vector_store import Space
from embedlab.errors import UserError
from embedlab.models import LoadedModel
from embedlab.options import EncodingOptions
from embedlab.progress import Reporter
from retrievers.token_vectors import Rows, TokenVectors

Some = TypeVar("Some", np.ndarray, csr_matrix, np.ndarray | csr_matrix, Rows)


class Encoder:
    """A loaded model with the vector store behind it.

    Args:
        model: a dense or sparse model.
        options: how its vectors are made and kept; a batch's tokens are halved when memory runs
            out.
        reporter: where progress is shown.
        tokens: give the vectors of a dense model's tokens, before they are pooled.

    Raises:
        UserError: the model's device takes no so many workers, or the store keeps no vectors of
            this model in the dtype asked for.
    """

    def __init__(
        self,
        model: LoadedModel,
        options: EncodingOptions = EncodingOptions(),
        *,
        reporter: Reporter | None = None,
        tokens: bool = False,
    ) -> None:
        refuse_store_dtype(model, options)
        self.model, self.options, self.reporter = model, options, reporter or Reporter()
        self.running = RunningModel(model, options, self.reporter, tokens=tokens)
        self.tokens = tokens

    @property
    def batch_tokens(self) -> int:
        """Tokens that go through the model at once, after any halving."""
        return self.running.batch_tokens

    @property
    def depth(self) -> int:
        if layers := self.model.fact("layers"):
            return int(layers)
        from embedlab.encoders.modules.layers import number_of_layers

        return number_of_layers(self.model.encoder)  # says why it has none

    @property
    def max_length(self) -> int | None:
        """Tokens that the model reads of a text."""
        length: int | None = self.model.fact("max_length")
        return length

    @property
    def kernels(self) -> str:
        """How linear layers run: "packed", "compiled" or "plain"; or what else runs them."""
        if self.model.runs_elsewhere:
            return self.model.runtime
        if self.options.compiled:
            return "compiled"
        return self.model.remembered.get("kernels", self._plain_or_packed)

    def _plain_or_packed(self) -> str:
        from embedlab.encoding.kernels import can_pack

        return "packed" if can_pack(self.model.encoder) else "plain"

    def ingredients(self, role: str, prompt: str, layer: int | None) -> dict[str, Any]:
        """Everything that shapes the vectors of texts in this role: the address of their space."""
        return {
            "model": self.model.identity,
            "method": self.model.card.method,
            "settings": self.model.settings,
            "role": role,
            "prompt": prompt,
            "max_length": self.max_length,
            "layer": layer,
            "modules": self.model.fact("modules"),
            "cuts": self.model.fact("cuts"),
            "dtype": self.model.dtype,
            "device": self.model.device.split(":")[0],
            "attention_kernel": self.model.fact("attention_kernel"),
            "kernels": self.kernels,
            "store_dtype": self.options.store_dtype,
            **({"vectors": "of tokens"} if self.tokens else {}),
        }

    def encode(
        self,
        texts: Sequence[str],
        *,
        role: str,
        prompt: str = "",
        layers: Sequence[int | None] = (None,),
    ) -> tuple[dict[int | None, Vectors], Cost]:
        """Vectors of all texts after each of the layers (None is the model's own output); only
        missing ones are made.

        Layers above the highest one that is needed do not run.

        Args:
            texts: the texts, without prompt.
            role: "query", "document" or "text": part of the address.
            prompt: what precedes every text.
            layers: layer numbers from 1; the last layer is the same as None.

        Returns:
            layer -> `Vectors` in the order of `texts`, and what it cost: all layers, and each alone
            (`Cost.of`).

        Raises:
            UserError: memory does not suffice for a single text, the disk is full, or a vector
                holds NaN or infinity.
        """
        keys, lengths = keys_and_lengths(prompt, texts)
        own_layers = {layer: self._own(layer) for layer in layers}
        spaces = {
            layer: Space(self.ingredients(role, prompt, layer))
            for layer in dict.fromkeys(own_layers.values())
        }
        missing = {layer: ~space.has(keys) for layer, space in spaces.items()}
        wanted = [layer for layer, lacking in missing.items() if lacking.any()]
        cost = Cost(
            len(texts),
            kernels=self.kernels,
            first_inputs=[prompt + text[:2000] for text in texts[:1]],
            first_tokens=[
                self.model.remembered.get(
                    f"tokens {space.folder.name} {key.tobytes().hex()}",
                    partial(self._first_tokens, text, prompt, role),
                )
                for text, key, space in zip(texts[:1], keys[:1], spaces.values(), strict=False)
            ],
        )
        now: dict[int | None, float] = {}
        if wanted:
            lacking = {layer: missing[layer] for layer in wanted}
            lacking_spaces = {layer: spaces[layer] for layer in wanted}
            now = self._fill(texts, keys, lengths, lacking, prompt, role, lacking_spaces, cost)
        vectors = {layer: spaces[own].vectors(keys) for layer, own in own_layers.items()}
        cost.by_layer = {
            layer: LayerCost(*vectors[layer].seconds(), now.get(own, 0.0))
            for layer, own in own_layers.items()
        }
        first = next(iter(vectors))
        tokens = vectors[first].tokens()
        cost.tokens, cost.measured_seconds = int(tokens.sum()), cost.by_layer[first].measured
        cost.truncated = int((tokens >= self.max_length).sum()) if self.max_length else 0
        return vectors, cost

    def _own(self, layer: int | None) -> int | None:
        """The last layer under its other name, None, so that both share one space."""
        return None if layer is not None and layer == self.depth else layer

    def _fill(
        self,
        texts: Sequence[str],
        keys: np.ndarray,
        lengths: np.ndarray,
        missing: dict[int | None, np.ndarray],
        prompt: str,
        role: str,
        spaces: dict[int | None, Space],
        cost: Cost,
    ) -> dict[int | None, float]:
        """Encode what is missing; returns the seconds of each layer alone."""
        todo = np.flatnonzero(np.logical_or.reduce(list(missing.values())))
        todo = todo[distinct(keys[todo])]
        # By length, then key: the order, and with it every batch,
        # does not depend on how the texts arrived.
        todo = todo[np.argsort(-lengths[todo], kind="stable")]
        total = int(lengths[todo].sum(dtype=np.int64)) + len(todo)
        # torch and sentence-transformers take seconds to import:
        # only a run with something to encode does.
        from embedlab.encoding import batches
        from embedlab.encoding.schedule import encoded

        alone = dict.fromkeys(spaces, 0.0)
        fleet = self.model.fleet
        encode = partial(fleet.encode, self) if fleet else partial(encoded, self.running)
        with (
            self.reporter.phase(f"encode {role}", total, "tokens") as bar,
            closing(
                encode(
                    texts, lengths, batches.shards(todo, lengths[todo]),
                    role=role, prompt=prompt, layers=list(spaces), bar=bar, cost=cost,
                )
            ) as passed,
        ):  # fmt: skip
            start = began = time.perf_counter()
            for shard in passed:
                for vectors in shard.vectors.values():
                    finite(vectors, texts, self.model.name, shard.part)
                now = time.perf_counter()
                began, seconds = now, now - began
                for layer, vectors in shard.vectors.items():
                    fresh = missing[layer][shard.part]
                    share = (
                        shard.times.share(layer)
                        * shard.tokens[fresh].sum()
                        / max(shard.tokens.sum(), 1)
                    )
                    alone[layer] += seconds * share
                    spaces[layer].add(
                        keys[shard.part][fresh],
                        shard.tokens[fresh],
                        vectors[fresh],
                        seconds * share,
                        derived=len(spaces) > 1,
                    )
                cost.encoded_texts += len(shard.part)
                cost.encoded_tokens += int(shard.tokens.sum())
                cost.padded_tokens += shard.padded
        cost.seconds += time.perf_counter() - start
        return alone

    def _first_tokens(self, text: str, prompt: str, role: str) -> list[str]:
        """The first 40 tokens as the model gets them:
        what shows a lost BOS or a doubled prompt at a glance.
        """
        from embedlab.encoders.modules.tokenizers import tokens_of

        features = self.running.features([text], prompt, role)
        if "input_ids" not in features:  # a bag of words
            return []
        mask = features.get("attention_mask", [slice(None)])[0]
        ids = features["input_ids"].reshape(-1)
        return tokens_of(
            self.model.encoder,
            (ids[mask.bool()] if hasattr(mask, "bool") else ids)[:40].tolist(),
            role,
        )


def refuse_store_dtype(model: LoadedModel, options: EncodingOptions) -> None:
    """Refuse to keep vectors of whole texts in eight bits.

    Raises:
        UserError: the store keeps no vectors of this model in the dtype asked for.
    """
    if options.store_dtype == "int8" and not model.card.kind.gives_tokens:
        raise UserError(
            f"--store-dtype int8 is for late interaction, and {model.name} is a"
            f" {model.card.kind} model.",
            "Type float32 or float16; --precision int8 evaluates its vectors in int8.",
        )


def finite(vectors: Some, texts: Sequence[str], model: str, at: np.ndarray | None = None) -> Some:
    """The vectors, dense `[n, d]`, CSR or of tokens, of a model's texts, or of those `at` these
    places.

    Raises:
        UserError: one holds NaN or infinity: not every evaluator would say so, and some would give
            a score.
    """
    if isinstance(vectors, TokenVectors):
        values = vectors.codes if vectors.factors is None else vectors.factors
    else:
        values = vectors if isinstance(vectors, np.ndarray) else vectors.data
    if not np.isfinite(values).all():
        if isinstance(vectors, np.ndarray):
            row = np.argmin(np.isfinite(vectors).all(axis=1))
        elif isinstance(vectors, TokenVectors):
            token = np.argmin(np.isfinite(values.reshape(len(values), -1)).all(axis=1))
            row = np.searchsorted(vectors.offsets, token, side="right") - 1
        else:
            weights = vectors.tocsr().tocoo()
            row = weights.row[np.argmin(np.isfinite(weights.data))]
        text = texts[int(row if at is None else at[row])]
        raise UserError(
            f"{model} gives a vector with NaN or infinity for the text {text[:60]!r}.",
            "Try --dtype float32; where it is float32 already, the model itself is broken, or made"
            " for no such text.",
        )
    return vectors
