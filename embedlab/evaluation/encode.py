"""The encode loop: texts to vectors, each text once, straight into the vector store.

Texts go longest first, so that an out-of-memory error shows at the start; a shard is encoded as a whole and written
before the next begins, so that a killed run goes on at the next shard, with the same batches and the same vectors.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from embedlab.encoders.layers import layer_outputs, number_of_layers
from embedlab.errors import UserError
from embedlab.evaluation.address import text_keys
from embedlab.evaluation.progress import Reporter
from embedlab.evaluation.vector_store import Space, Vectors
from embedlab.models import LoadedModel

SHARD_CHARACTERS = 500_000  # about 125,000 tokens: seconds of work, so little is lost to a kill
SHARD_TEXTS = 8_192


@dataclass
class Cost:
    """What encoding took: all texts asked for when they were encoded, and what had to be done now."""

    texts: int = 0
    tokens: int = 0
    truncated: int = 0  # texts that fill the model's maximum length
    measured_seconds: float = 0.0  # for all texts, whenever they were encoded
    seconds: float = 0.0  # now
    encoded_texts: int = 0
    encoded_tokens: int = 0
    first_inputs: list[str] = field(default_factory=list)
    first_tokens: list[list[str]] = field(default_factory=list)

    def add(self, other: "Cost") -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def named(self) -> dict[str, float]:
        """The costs under the names that the leaderboard knows; `encoded_now_*` is what this run still had to do."""
        seconds, texts = max(self.measured_seconds, 1e-9), max(self.texts, 1)
        return {
            "encode_seconds": self.measured_seconds,
            "texts_per_second": self.texts / seconds,
            "tokens_per_second": self.tokens / seconds,
            "tokens_per_text": self.tokens / texts,
            "truncated_share": self.truncated / texts,
            "encoded_now_seconds": self.seconds,
            "encoded_now_texts": self.encoded_texts,
        }


class Encoder:
    """A loaded model with the vector store behind it.

    Args:
        model: a dense or sparse model.
        batch_tokens: tokens (with padding) that go through the model at once; halved when memory runs out.
        store_dtype: dtype of dense vectors on disk, "float32" or "float16".
        reporter: where progress is shown.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        batch_tokens: int | None = None,
        store_dtype: str = "float32",
        reporter: Reporter | None = None,
    ):
        self.model = model
        self.batch_tokens = batch_tokens or (65_536 if model.device.startswith("cuda") else 8_192)
        self.store_dtype = store_dtype
        self.reporter = reporter or Reporter()

    @property
    def depth(self) -> int:
        return number_of_layers(self.model.encoder)

    def ingredients(self, role: str, prompt: str, layer: int | None) -> dict:
        """Everything that shapes the vectors of texts in this role: the address of their space."""
        encoder = self.model.encoder
        config = getattr(encoder, "config", None)
        return {
            "model": self.model.identity,
            "method": self.model.card.method,
            "settings": self.model.settings,
            "role": role,
            "prompt": prompt,
            "max_length": getattr(encoder, "max_seq_length", None),
            "layer": layer,
            "modules": [f"{type(module).__name__}{getattr(module, 'get_config_dict', dict)()}" for module in encoder],
            "dtype": self.model.dtype,
            "device": self.model.device.split(":")[0],
            "attention_kernel": getattr(config, "_attn_implementation", None),
            "store_dtype": self.store_dtype,
        }

    def encode(
        self, texts: Sequence[str], *, role: str, prompt: str = "", layers: Sequence[int | None] = (None,)
    ) -> tuple[dict[int | None, Vectors], Cost]:
        """Vectors of all texts after each of the layers (None is the model's own output); only missing ones are made.

        Args:
            texts: the texts, without prompt.
            role: "query", "document" or "text": part of the address.
            prompt: what precedes every text.
            layers: layer numbers from 1; the last layer is the same as None.

        Returns:
            layer -> `Vectors` in the order of `texts`, and what it cost.

        Raises:
            UserError: memory does not suffice for a single text, or the disk is full.
        """
        keys = text_keys(prompt, texts)
        asked = {layer: self._own(layer) for layer in layers}
        spaces = {layer: Space(self.ingredients(role, prompt, layer)) for layer in dict.fromkeys(asked.values())}
        missing = {layer: ~space.has(keys) for layer, space in spaces.items()}
        wanted = [layer for layer, lacking in missing.items() if lacking.any()]
        cost = Cost(
            len(texts),
            first_inputs=[prompt + text[:2000] for text in texts[:1]],
            first_tokens=[self._first_tokens(text, prompt, role) for text in texts[:1]],
        )
        if wanted:
            lacking = {layer: missing[layer] for layer in wanted}
            self._fill(texts, keys, lacking, prompt, role, {layer: spaces[layer] for layer in wanted}, cost)
        vectors = {layer: spaces[own].vectors(keys) for layer, own in asked.items()}
        first = next(iter(vectors.values()))
        tokens = first.tokens()
        cost.tokens, cost.measured_seconds = int(tokens.sum()), first.seconds()
        limit = getattr(self.model.encoder, "max_seq_length", None)
        cost.truncated = int((tokens >= limit).sum()) if limit else 0
        return vectors, cost

    def _own(self, layer: int | None) -> int | None:
        """The last layer under its other name, None, so that both share one space."""
        return None if layer is not None and layer == self.depth else layer

    def _fill(self, texts, keys, missing: dict, prompt, role, spaces: dict[int | None, Space], cost: Cost) -> None:
        lacking = np.flatnonzero(np.logical_or.reduce(list(missing.values())))
        _, first = np.unique(keys[lacking], return_index=True)
        lengths = np.array([len(texts[i]) for i in lacking[first]])
        # By length, then key: the order, and with it every batch, does not depend on how the texts arrived.
        todo = lacking[first][np.argsort(-lengths, kind="stable")]
        total = int(lengths.sum()) + len(todo)
        start = time.perf_counter()
        with self.reporter.phase(f"encode {role}", total, "tokens") as bar, ThreadPoolExecutor(1) as ahead:
            prepared = None
            parts = list(_shards(texts, todo))

            def texts_of(part: np.ndarray) -> list[str]:
                return [texts[i] for i in part]

            for number, part in enumerate(parts):
                features = prepared.result() if prepared else self._features(texts_of(part), prompt, role)
                if number + 1 < len(parts):  # the next shard is tokenised while the model works on this one
                    prepared = ahead.submit(self._features, texts_of(parts[number + 1]), prompt, role)
                began = time.perf_counter()
                tokens, outputs = self._run(features, texts_of(part), prompt, role, list(spaces))
                seconds = time.perf_counter() - began
                for layer, vectors in outputs.items():
                    fresh = missing[layer][part]
                    spaces[layer].add(keys[part][fresh], tokens[fresh], vectors[fresh], seconds)
                cost.encoded_texts += len(part)
                cost.encoded_tokens += int(tokens.sum())
                bar.advance(sum(len(texts[i]) + 1 for i in part), int(tokens.sum()))
        cost.seconds += time.perf_counter() - start

    def _first_tokens(self, text: str, prompt: str, role: str) -> list[str]:
        """The first 40 tokens as the model gets them: what shows a lost BOS or a doubled prompt at a glance."""
        ids = self._features([text], prompt, role).get("input_ids")
        return self.model.encoder.tokenizer.convert_ids_to_tokens(ids[0, :40].tolist()) if ids is not None else []

    def _features(self, texts: list[str], prompt: str, role: str) -> dict:
        """What the model's forward pass takes; methods choose lengths and templates by the role."""
        task = {"task": role} if role in ("query", "document") else {}
        return self.model.encoder.preprocess(texts, prompt=prompt or None, **task)

    def _run(self, features: dict, texts: list[str], prompt: str, role: str, layers: list) -> tuple[np.ndarray, dict]:
        """Vectors of one shard, batch by batch: tokens per text, and layer -> vectors in the shard's order."""
        mask = features["attention_mask"]
        tokens = mask.sum(dim=1).numpy()
        outputs: dict = {layer: [None] * len(texts) for layer in layers}
        order = np.argsort(-tokens, kind="stable")
        done = 0
        while done < len(order):
            size = max(1, self.batch_tokens // max(1, int(tokens[order[done]])))
            batch = order[done : done + size]
            try:
                self._batch(features, texts, prompt, role, batch, int(tokens[batch[0]]), outputs)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                self._halve(error, len(batch))
                continue
            done += len(batch)
        return tokens, {layer: self._stack(rows) for layer, rows in outputs.items()}

    @torch.inference_mode()
    def _batch(self, features, texts, prompt, role, batch, longest, outputs) -> None:
        encoder = self.model.encoder
        rows = _select(features, batch, longest) or self._features([texts[i] for i in batch], prompt, role)
        rows = {
            name: value.to(encoder.device) if isinstance(value, torch.Tensor) else value for name, value in rows.items()
        }
        inner = [layer for layer in outputs if layer is not None]
        if inner:
            numbers = [*inner, *([self.depth] if None in outputs else [])]
            vectors = dict(zip([*inner, None], layer_outputs(encoder, rows, numbers), strict=False))
        else:
            vectors = {None: _forward(encoder, rows)}
        for layer, block in vectors.items():
            block = self._to_rows(block)
            for place, index in enumerate(batch):
                outputs[layer][index] = block[place]

    def _to_rows(self, block: torch.Tensor):
        if self.model.card.kind == "sparse":
            from embedlab.encoders.splade import to_csr

            return to_csr(block)
        return block.float().cpu().numpy().astype(self.store_dtype, copy=False)

    def _stack(self, rows: list):
        if self.model.card.kind == "sparse":
            from scipy.sparse import vstack

            return vstack(rows, format="csr")
        return np.stack(rows)

    def _halve(self, error: Exception, size: int) -> None:
        """Halve the token budget after running out of memory; any other error goes on up."""
        out_of_memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)
        if not out_of_memory:
            raise error
        if size == 1:
            raise UserError(
                f"{self.model.name} runs out of memory on a single text.",
                "Use --device cpu, a smaller --dtype, or a model with a shorter maximum length.",
            ) from error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.batch_tokens //= 2
        self.reporter.say(f"Out of memory: going on with {self.batch_tokens:,} tokens per batch.")


def _shards(texts: Sequence[str], todo: np.ndarray) -> Iterator[np.ndarray]:
    """Cut the work into shards by characters and number of texts, the same way whatever was done before."""
    start = characters = 0
    for position, index in enumerate(todo):
        if position - start == SHARD_TEXTS or (position > start and characters + len(texts[index]) > SHARD_CHARACTERS):
            yield todo[start:position]
            start, characters = position, 0
        characters += len(texts[index])
    if start < len(todo):
        yield todo[start:]


def _select(features: dict, batch: np.ndarray, longest: int) -> dict | None:
    """The rows of a batch cut to its longest text; None where the features are not plain padded token arrays."""
    mask = features["attention_mask"]
    if not set(features) <= {"input_ids", "attention_mask", "token_type_ids", "pooling_mask", "modality"}:
        return None
    left = not bool(mask[:, 0].all())
    columns = slice(mask.shape[1] - longest, None) if left else slice(0, longest)
    return {
        name: value[batch][:, columns] if isinstance(value, torch.Tensor) else value for name, value in features.items()
    }


def _forward(encoder, features: dict) -> torch.Tensor:
    """The model's output; pooling runs in float32 where it has no weights of its own in another dtype."""
    first, *rest = encoder
    features = first(features)
    if "token_embeddings" in features and not any(True for module in rest for _ in module.parameters()):
        features["token_embeddings"] = features["token_embeddings"].float()
    for module in rest:
        features = module(features)
    return features["sentence_embedding"]
