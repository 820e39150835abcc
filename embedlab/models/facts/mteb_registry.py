"""Hub models as mteb's registry runs them:
the prompts and the settings that their published scores were made with.

Rules differ by model: templates, functions, tables by task, loaders of their own. None of them is
repeated here. mteb's own wrapper of a model is built around a stand-in for the weights, and asked:
what it puts before a text is the prompt, what it hands to sentence-transformers are the settings.
"""

import copy
import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from embedlab.errors import UserError

if TYPE_CHECKING:
    from mteb import TaskMetadata
    from mteb.types import PromptType


_TEXT = "\x00text\x00"  # no template contains it

# What mteb passes to sentence-transformers beside what shapes the vectors:
# embedlab chooses these itself.
_OURS = {
    "device",
    "revision",
    "trust_remote_code",
    "model_kwargs",
    "cache_folder",
    "backend",
    "prompts",
}

# mteb's wrappers of sparse models and rerankers: they add nothing to the model's own prompts.
_NO_PROMPTS = ("SparseEncoderWrapper", "CrossEncoderWrapper")


def known(source: str) -> dict[str, str]:
    """Fields of the card of a hub model: its name in mteb's registry,
    if its prompts there can be asked for.

    Where mteb does more with the model than embedlab does, the notes say so. Loads nothing.
    """
    from mteb.models.model_implementations import MODEL_REGISTRY

    meta = MODEL_REGISTRY.get(source)
    if meta is None or getattr(meta.loader, "__name__", "") in _NO_PROMPTS:
        return {}
    by = f"mteb runs this model by {getattr(meta.loader, '__name__', 'no code of its own')}"
    try:
        wrapper = _wrapper(source, ()) if _only_wraps(meta.loader) else None
        is_plain = wrapper is not None and _passes_on(wrapper)
    except Exception:
        # A loader that needs more than the model and its texts: packages, keys, files, pictures.
        wrapper = None
    if wrapper is None:
        return {"notes": f"{by}, which embedlab does not follow: prompts are the model's own."}
    if not is_plain:
        return {
            "registry": source,
            "notes": f"{by}, which changes the vectors; embedlab takes them as they are.",
        }
    return {"registry": source}


def _only_wraps(loader: Any) -> bool:
    """Whether a loader leaves the loading to one of mteb's two wrappers,
    so that it may be called without weights.
    """
    from mteb.models.instruct_wrapper import InstructSentenceTransformerModel
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    wrappers = (InstructSentenceTransformerModel, SentenceTransformerEncoderWrapper)
    if isinstance(loader, type):
        made = inspect.getattr_static(loader, "__init__")
        names = set(made.__code__.co_names)
        plain = made in [inspect.getattr_static(wrapper, "__init__") for wrapper in wrappers]
        return issubclass(loader, wrappers) and (
            plain or ("super" in names and "from_pretrained" not in names)
        )
    read = (
        getattr(getattr(inspect.unwrap(loader), "__code__", None), "co_names", ()) if loader else ()
    )
    return any(wrapper.__name__ in read for wrapper in wrappers)


def prompt(
    source: str,
    own: Mapping[str, str],
    task_metadata: "TaskMetadata",
    prompt_type: "PromptType | None",
) -> str:
    """What mteb's wrapper of the model puts before a text of a task in a role.

    Args:
        source: the model's hub id.
        own: the model's own prompts, the default one under the empty name (`profile.FACTS`).
        task_metadata: mteb's metadata of the task, or what stands for it.
        prompt_type: mteb's `PromptType`, or None for tasks whose texts have no role.

    Raises:
        UserError: what the wrapper gives the model is not a prompt and the text.
    """
    wrapper = _wrapper(source, tuple(sorted(own.items())))
    with _quiet():
        wrapper.encode(
            _Inputs(),
            task_metadata=task_metadata,
            hf_split="test",
            hf_subset="default",
            prompt_type=prompt_type,
        )
    seen = wrapper.model.seen
    if not seen.endswith(_TEXT):
        raise UserError(
            f"mteb runs {source} with text on both sides of its input, which no prompt can do.",
            "Give the template by a method of your own: --model path/to/file.py:Class.",
        )
    return str(seen).removesuffix(_TEXT)


def settings(source: str) -> dict[str, Any]:
    """Keyword arguments of `encoders.stock.load` that mteb's loader sets for the model:
    lengths, padding, pooling.
    """
    model = _wrapper(source, ()).model
    arguments = {
        key: value
        for key, value in model.arguments.items()
        if key not in _OURS and value not in (None, {}, [])
    }
    if model.max_seq_length:
        arguments["max_length"] = model.max_seq_length
    if not model.include_prompt:
        arguments["include_prompt"] = False
    return arguments


@lru_cache(maxsize=8)
def _wrapper(source: str, own: tuple[tuple[str, str], ...]) -> Any:
    """mteb's wrapper around a stand-in; None where it holds the model otherwise."""
    import sentence_transformers
    from mteb.models.model_implementations import MODEL_REGISTRY

    meta = MODEL_REGISTRY[source]

    signature = inspect.signature(sentence_transformers.SentenceTransformer)

    def stand_in(name: str, **arguments: Any) -> _StandIn:
        if "tokenizer_kwargs" in arguments:  # its older name, which the library still takes
            arguments["processor_kwargs"] = {
                **arguments.pop("tokenizer_kwargs"),
                **arguments.get("processor_kwargs", {}),
            }
        signature.bind(name, **arguments)  # what the real one does not take, this one does not take
        return _StandIn(dict(own), arguments)

    with _quiet(), patch.object(sentence_transformers, "SentenceTransformer", stand_in):
        assert meta.loader is not None  # `known` has looked
        wrapper = meta.loader(source, revision=meta.revision, **copy.deepcopy(meta.loader_kwargs))
    return wrapper if isinstance(getattr(wrapper, "model", None), _StandIn) else None


def _passes_on(wrapper: Any) -> bool:
    """Whether the wrapper gives the model's own vectors back, with and without a role."""
    from mteb.types import PromptType

    return all(
        np.array_equal(
            np.asarray(
                wrapper.encode(
                    _Inputs(),
                    task_metadata=_Any(),
                    hf_split="test",
                    hf_subset="default",
                    prompt_type=prompt_type,
                )
            ),
            _StandIn.VECTORS,
        )
        for prompt_type in (None, PromptType.query, PromptType.document)
    )


class _Any:
    """The metadata of some task."""

    name, type, prompt = "STSBenchmark", "STS", "Retrieve semantically similar text"
    eval_langs, domains, task_subtypes = ("eng-Latn",), (), ()


class _Inputs:
    """What mteb's wrappers take for a DataLoader of one text."""

    class dataset:
        features = ("text",)

    def __iter__(self) -> Iterator[dict[str, list[str]]]:
        return iter([{"text": [_TEXT]}])


class _StandIn:
    """A SentenceTransformer without weights: notes how it was made,
    and the text it would encode, prompt and all.
    """

    VECTORS = np.array([[3.0, 4.0, 5.0]], dtype=np.float32)

    def __init__(self, own: dict[str, str], arguments: dict[str, Any]) -> None:
        # As sentence-transformers fills them:
        # both roles are there, and empty if nothing else is said.
        self.prompts = {
            "query": "",
            "document": "",
            **{key: value for key, value in own.items() if key},
        }
        self._default = own.get("")
        self.arguments = arguments
        self.max_seq_length = None
        self.include_prompt = True
        self.seen = ""

    def set_pooling_include_prompt(self, include_prompt: bool) -> None:
        self.include_prompt = include_prompt

    def _first_module(self) -> Any:
        class Config:
            _attn_implementation = "sdpa"

        class Model:
            config = Config

        class First:
            auto_model = Model

        return First

    def encode(
        self,
        sentences: list[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        **arguments: Any,
    ) -> np.ndarray:
        if prompt is None:
            prompt = self.prompts[prompt_name] if prompt_name is not None else self._default
        self.seen = (prompt or "") + sentences[0]
        vectors = self.VECTORS
        if arguments.get("normalize_embeddings"):
            vectors = vectors / np.linalg.norm(vectors)
        return vectors

    def encode_query(
        self,
        sentences: list[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        **arguments: Any,
    ) -> np.ndarray:
        return self._in_role(("query",), sentences, prompt_name, prompt, **arguments)

    def encode_document(
        self,
        sentences: list[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        **arguments: Any,
    ) -> np.ndarray:
        return self._in_role(
            ("document", "passage", "corpus"), sentences, prompt_name, prompt, **arguments
        )

    def _in_role(
        self,
        names: tuple[str, ...],
        sentences: list[str],
        prompt_name: str | None,
        prompt: str | None,
        **arguments: Any,
    ) -> np.ndarray:
        if prompt_name is None and prompt is None:
            prompt_name = next((name for name in names if name in self.prompts), None)
        return self.encode(sentences, prompt_name, prompt, **arguments)


@contextmanager
def _quiet() -> Iterator[None]:
    """mteb warns of what is not embedlab's to mend."""
    modules = ("abs_encoder", "instruct_wrapper", "sentence_transformer_wrapper")
    loggers = [logging.getLogger(f"mteb.models.{module}") for module in modules]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled
