"""Published encoders that are a bare transformers checkpoint:
what their papers pool, and how long, is said here.

RetroMAE (arXiv:2205.12035), Mirror-BERT (arXiv:2104.08027), Trans-Encoder (arXiv:2109.13059), 2DMSE
(arXiv:2402.14776) and the like: a backbone, one pooling, one similarity.
"""

from pathlib import Path
from typing import Any, Literal, Self

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn

from embedlab.encoders.modules import based
from embedlab.encoders.modules.saved import Features
from embedlab.errors import UserError


class BasedTransformer(Transformer):
    """A Transformer whose folder may hold what was trained on a base, and not the whole."""

    @classmethod
    def load(cls, model_name_or_path: str, *args: Any, **kwargs: Any) -> Self:
        """As sentence-transformers calls it; a hub model's folder is fetched first."""
        names = ("subfolder", "token", "cache_folder", "revision", "local_files_only")
        where = {name: kwargs.pop(name) for name in names if name in kwargs}
        folder = cls.load_dir_path(model_name_or_path, **where)
        return super().load(str(folder or model_name_or_path), *args, **kwargs)

    def _load_model(
        self, model_name_or_path: str, transformer_task: Any, config: Any, *args: Any, **kwargs: Any
    ) -> Any:
        folder = Path(model_name_or_path)
        load = super()._load_model
        if not based.is_based(folder):
            return load(model_name_or_path, transformer_task, config, *args, **kwargs)
        dtype = kwargs.pop("dtype", None)
        base = str(based.base_folder(folder))
        model = load(base, transformer_task, config, *args, dtype=torch.float32, **kwargs)
        return based.complete(model, folder, dtype)

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        based.save(self.model, Path(output_path))
        self.processor.save_pretrained(output_path)
        self.save_config(output_path)


class PaddedTransformer(BasedTransformer):
    """Pads every text on the right to one fixed length,
    and lets the pooling that follows read the padding too.

    So Mirror-BERT's mean is the average over all positions (github.com/cambridgeltl/mirror-bert).
    Attention never sees the padding, but each padded position has a state of its own.
    """

    config_keys = [*Transformer.config_keys, "pad_to"]  # noqa: RUF012

    def __init__(self, *args: Any, pad_to: int, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.pad_to = pad_to

    def forward(self, features: Features, **kwargs: Any) -> Features:
        missing = self.pad_to - features["input_ids"].shape[1]
        padding = {
            "input_ids": getattr(self.tokenizer, "pad_token_id", 0),
            "attention_mask": 0,
            "token_type_ids": 0,
        }
        for name in padding.keys() & features.keys():
            features[name] = torch.nn.functional.pad(
                features[name], (0, missing), value=padding[name]
            )
        features = super().forward(features, **kwargs)
        features["attention_mask"] = torch.ones_like(features["attention_mask"])
        return features


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    pooling: str = "cls",
    similarity: Literal["cosine", "dot"] = "cosine",
    max_length: int | None = None,
    query_length: int | None = None,
    document_length: int | None = None,
    pad: bool = False,
) -> SentenceTransformer:
    """A SentenceTransformer of the checkpoint's backbone and one pooling, without normalisation.

    Args:
        source: hub id or local folder.
        revision: hub revision; None takes the newest.
        device: torch device; None lets sentence-transformers choose.
        dtype: dtype of the weights; None is float32.
        pooling: a mode of sentence-transformers' `Pooling`: "cls", "mean", "lasttoken", ...
        similarity: "cosine" or "dot".
        max_length: tokens; None takes the checkpoint's own limit.
        query_length: tokens of a query where they differ, used when `preprocess` is told
            `task="query"`.
        document_length: tokens of a document, with `task="document"`.
        pad: pad every text to `max_length`, and pool the padding as well.

    Raises:
        UserError: `pad` without `max_length`.
    """
    settings: dict[str, Any] = {
        "model_kwargs": {"revision": revision, "dtype": dtype or torch.float32},
        "processor_kwargs": (
            {"revision": revision} | ({"model_max_length": max_length} if max_length else {})
        ),
        "config_kwargs": {"revision": revision},
        "query_length": query_length,
        "document_length": document_length,
    }
    transformer: Transformer
    if not pad:
        kind = BasedTransformer if based.is_based(Path(source)) else Transformer
        transformer = kind(str(source), **settings)
    elif max_length:
        transformer = PaddedTransformer(str(source), pad_to=max_length, **settings)
    else:
        raise UserError("Padding needs a length.", "Give max_length, in tokens.")
    modules: list[nn.Module] = [
        transformer,
        Pooling(transformer.get_embedding_dimension(), pooling),
    ]
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name=similarity)
