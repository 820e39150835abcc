"""Models given as Python objects, each taken for what it can do.

* a model of sentence-transformers, made of modules of installed libraries: as one loaded by its
  name, every view of it;
* one of mteb's protocols (`EncoderProtocol`, `CrossEncoderProtocol`, `SearchProtocol`): evaluated
  through mteb;
* anything with `encode`, or with `encode_query` and `encode_document`, or a function from texts to
  an array: its vectors are taken as they come, and never kept, since nobody knows what shaped them.
  One array `[t_i, d]` for each text makes it a late-interaction model;
* anything with `predict` on pairs of query and text, or with `score_list` or `score_lists`
  (`retrievers.rerank`): a reranker.
"""

import copy
import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from scipy import sparse

from embedlab.encoders.methods import registered
from embedlab.errors import UserError
from embedlab.models.cards import Card, cards
from embedlab.models.facts.model_card_facts import facts
from embedlab.models.files import digests, source_code
from embedlab.models.kinds import Kind
from embedlab.models.loaded_model import LoadedModel
from embedlab.models.mteb_objects import fingerprint
from retrievers import Retriever, rerank
from retrievers.pipelines.rerank import scored
from retrievers.token_vectors import Rows, TokenVectors, is_ragged

# Packages whose modules are what they were when they were installed; ours count by their code.
_LIBRARIES = ("sentence_transformers", "transformers", "torch", "peft", "embedlab")
_SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan", "maxsim", "meanmaxsim")
_SCORES = ("predict", "score_list", "score_lists")
_PROBES = (
    "a",
    "The quick brown fox jumps over the lazy dog.",
    "Which drug lowers cholesterol?",
    "Statins lower cholesterol.",
    "def add(a, b): return a + b",
    "42",
    "Straße, café, 東京",
    "one two three four five six seven eight nine ten " * 20,
)
CALLS = ("encode", "encode_query", *_SCORES)  # what makes an object a model
_GIVE_A_NAME = 'Give it one: embedlab.evaluate({"my-model": model}, ...)'


@dataclass
class ObjectModel(LoadedModel):
    """A model whose inside is not known: `encoder` is the object,
    and no fact is asked of it but what it shows.
    """

    known: dict[str, Any] = field(default_factory=lambda: {"views": "any", "prompts": {}})

    def fact(self, name: str) -> Any:
        return self.known.get(name)


@dataclass
class MtebModel(ObjectModel):
    """An object that implements one of mteb's protocols."""


@dataclass(frozen=True)
class TextEncoder:
    """An object's own calls under sentence-transformers' names; answers are checked.

    Args:
        model: has `encode`, or `encode_query` and `encode_document`, or is a function of a list of
            texts.
        name: for messages.
    """

    model: Any
    name: str

    def encode(self, texts: Sequence[str], role: str = "text") -> Rows:
        """float32 `[n, d]`, a CSR matrix, or token vectors.

        Args:
            role: "query", "document" or "text".

        Raises:
            UserError: the object cannot encode texts in this role, or gives something else than a
                finite row for each.
        """
        call = getattr(self.model, f"encode_{role}", None) or getattr(self.model, "encode", None)
        if call is None and not inspect.isclass(self.model) and callable(self.model):
            call = self.model
        if call is None:
            raise UserError(
                f"{self.name} has no method `encode`, which texts without a role need.",
                "Give it one.",
            )
        answer = call(list(texts))
        if texts and is_ragged(answer) and len(answer) == len(texts):
            return TokenVectors.of(answer)
        vectors = _array(answer)
        if vectors.ndim != 2 or vectors.shape[0] != len(texts) or vectors.dtype.kind not in "fiub":
            given = f"an array of shape {list(vectors.shape)} type {vectors.dtype}"
            raise UserError(
                f"{self.name} gave {given if vectors.ndim else f'a {type(answer).__name__}'},"
                f" for {len(texts)} texts.",
                "It has to give one row of numbers for each text: an array [n, d].",
            )
        vectors = vectors.astype(np.float32)
        if not np.isfinite(vectors.data if sparse.issparse(vectors) else vectors).all():
            raise UserError(
                f"{self.name} gave vectors with NaN or infinity.",
                "Look at what it gives for one text.",
            )
        return vectors

    def encode_query(self, texts: Sequence[str], **_: Any) -> Rows:
        """Vectors of queries."""
        return self.encode(texts, "query")

    def encode_document(self, texts: Sequence[str], **_: Any) -> Rows:
        """Vectors of documents."""
        return self.encode(texts, "document")


def load(model: Any, name: str = "") -> LoadedModel:
    """The object as a loaded model.

    Args:
        model: see the module's description.
        name: what to record it under; by default the name that the object has.

    Raises:
        UserError: the object cannot encode, has no name, or the name is that of a model that
            embedlab knows.
    """
    from sentence_transformers.base.model import BaseModel

    if _is_known(name):
        raise UserError(
            f"{name!r} is the name of a model that embedlab knows.", "Give the object another."
        )
    name = name or _name(model)
    if isinstance(model, BaseModel) and (_is_stock(model) or not hasattr(model, "encode")):
        return _of_sentence_transformers(model, name)
    if kind := _mteb_kind(model):
        return _of_mteb(model, name, kind)
    if inspect.isclass(model) or not (
        callable(model) or any(hasattr(model, name) for name in CALLS)
    ):
        raise UserError(
            f"A model cannot be a {type(model).__name__}.",
            "Give a name, a folder, an object with encode(texts) or predict(pairs), or a function"
            " from a list of texts to an array.",
        )
    if not hasattr(model, "encode") and any(hasattr(model, each) for each in _SCORES):
        return _of_scores(model, name)
    return _of_texts(model, name)


def _of_sentence_transformers(model: Any, name: str) -> LoadedModel:
    from embedlab.encoders.modules.tokenizers import settle

    own = copy.deepcopy(model, {id(p): p for p in [*model.parameters(), *model.buffers()]}).eval()
    settle(own)  # on a copy over the same weights: the object itself stays as it is
    card = Card(name=name, method="object")
    parameter = next(own.parameters(), None)
    return LoadedModel(
        Card(**{**vars(card), **facts(card, own)}),
        lambda: own,
        revision=digests.of_loaded(own),
        device=str(own.device),
        dtype=str(parameter.dtype).removeprefix("torch.") if parameter is not None else "float32",
        dtype_reason="the object's own",
        code=_code(own),
    )


def _of_texts(model: Any, name: str) -> ObjectModel:
    encoder = TextEncoder(model, name)
    digest = hashlib.sha256()
    for role in ("query", "document"):
        probed = encoder.encode(_PROBES, role)
        digest.update(_bytes(probed))
    late = isinstance(probed, TokenVectors)
    kind = Kind.LATE if late else Kind.SPARSE if sparse.issparse(probed) else Kind.DENSE
    dim = probed.dim if isinstance(probed, TokenVectors) else probed.shape[1]
    own = str(getattr(model, "similarity_fn_name", None) or "")
    similarity = own if own in _SIMILARITIES else kind.usual_similarity
    card = Card(name=name, method="object", kind=kind, dim=dim, similarity=similarity)
    return ObjectModel(card, lambda: encoder, revision=digest.hexdigest()[:16])


def _of_scores(model: Any, name: str) -> ObjectModel:
    """A reranker; its scores of a few pairs identify it."""
    scorer = rerank(model).scorer
    assert not isinstance(scorer, Retriever)  # an index is no model
    (scores,) = scored(scorer, [_PROBES[2]], [list(_PROBES)])
    card = Card(name=name, method="object", kind=Kind.CROSS)
    return ObjectModel(card, lambda: model, revision=digests.of_text(str(scores.tolist())))


def _bytes(vectors: Rows) -> bytes:
    if isinstance(vectors, TokenVectors):
        return vectors.floats().tobytes() + vectors.offsets.tobytes()
    return (vectors if isinstance(vectors, np.ndarray) else vectors.toarray()).tobytes()


def _of_mteb(model: Any, name: str, kind: Kind) -> MtebModel:
    meta = model.mteb_model_meta
    revision = f"{meta.revision}+" if meta and meta.revision else ""
    similarity = str(getattr(meta, "similarity_fn_name", None) or "")
    card = Card(
        name=name,
        method="mteb",
        kind=kind,
        similarity=similarity if similarity in _SIMILARITIES else "",
    )
    return MtebModel(card, lambda: model, revision=revision + fingerprint(model, _PROBES))


def _mteb_kind(model: Any) -> Kind | None:
    """What an object is by mteb's protocols; None where it implements none."""
    from mteb.models.models_protocols import CrossEncoderProtocol, EncoderProtocol, SearchProtocol

    kinds = (
        (EncoderProtocol, Kind.DENSE),
        (CrossEncoderProtocol, Kind.CROSS),
        (SearchProtocol, Kind.SEARCH),
    )
    return next((kind for protocol, kind in kinds if isinstance(model, protocol)), None)


def _name(model: Any) -> str:
    meta = getattr(model, "mteb_model_meta", None)
    source = str(getattr(getattr(model, "config", None), "name_or_path", "") or "")
    name = getattr(meta, "name", None) or (Path(source).name if Path(source).is_dir() else source)
    if not name and not type(model).__module__.startswith(_LIBRARIES):
        name = getattr(model, "__name__", "") or (
            type(model).__name__ if not inspect.isroutine(model) else ""
        )
    if not name or name in ("<lambda>", "partial"):
        raise UserError(
            f"This {type(model).__name__} has no name to record it under.", _GIVE_A_NAME
        )
    return f"{name} (object)" if _is_known(name) else name


def _is_known(name: str) -> bool:
    """Whether a name stands for a model that is no object:
    of a card, or of an installed package.
    """
    brought = registered().get(name)
    return name in cards() or (brought is not None and brought.plugin is not None)


def _is_stock(model: Any) -> bool:
    """Whether all that runs in a model is code of installed libraries,
    so that its weights and settings identify it.
    """
    from embedlab.compat.torch_internals import has_hooks

    for module in model.modules():
        if type(module).__module__.partition(".")[0] not in _LIBRARIES:
            return False
        kind = type(module)
        patched = any(
            callable(value) and callable(getattr(kind, key, None))
            for key, value in vars(module).items()
        )
        if patched or has_hooks(module):
            return False
    return True


def _code(model: Any) -> str:
    """A digest of our own code in a model; empty where there is none."""
    ours = {
        type(module)
        for module in model.modules()
        if type(module).__module__.startswith("embedlab.")
    }
    return "-".join(sorted({source_code.of_code(Path(inspect.getfile(each))) for each in ours}))


def _array(vectors: Any) -> np.ndarray | sparse.csr_matrix:
    if hasattr(vectors, "detach"):
        vectors = vectors.detach().cpu()
        vectors = vectors.to_dense() if vectors.is_sparse else vectors
        array: np.ndarray = (vectors.float() if vectors.is_floating_point() else vectors).numpy()
        return array
    if sparse.issparse(vectors):
        matrix: sparse.csr_matrix = cast("Any", vectors).tocsr()
        return matrix
    if isinstance(vectors, Sequence) and vectors and hasattr(vectors[0], "detach"):
        return np.stack([row.detach().float().cpu().numpy() for row in vectors])
    try:
        return np.asarray(vectors)
    except ValueError:  # rows of different lengths
        return np.empty(0, dtype=object)
