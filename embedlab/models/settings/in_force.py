"""What is in force of a model, and why: every setting, every prompt, and who says so."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embedlab import models
from embedlab.bases import folders, packaged
from embedlab.bases.base_cards import bases
from embedlab.errors import UserError
from embedlab.models.cards import Card
from embedlab.models.facts import training_sets
from embedlab.models.facts.registry_facts import details
from embedlab.models.loaded_model import LoadedModel
from embedlab.models.settings import common_settings, model_settings
from embedlab.models.settings.common_settings import whose
from embedlab.models.settings.prompts import Described, RetrievalTask, has_roles, with_reason
from embedlab.models.training_free_names import FORMS
from leaderboard.tables.known_facts import facts_of

_GENERAL = "Retrieve text based on user query."  # as of an index, and of a folder
BASE = "embedlab's card of the base"
OURS, FILES, MTEB = "embedlab's card", "the model's own files", "mteb's registry"


class Setting(NamedTuple):
    """One thing in force: its value, and who says so."""

    name: str
    value: Any
    why: str


def settings(name: str, tasks: Sequence[Described] = (), **how: Any) -> list[Setting]:
    """Everything that shapes a model's vectors and how they are compared.

    Args:
        name: as `--model` takes it, of one model.
        tasks: mteb's metadata of the tasks whose prompts are shown; search in general by default.
        how: goes to `models.load`: device, dtype, trust_remote_code.

    Raises:
        UserError: there is no such model. One whose weights are not here is shown by its card.
    """
    if base := _of_base(name):
        return base
    card = models.find(name)
    before = models.find(model_settings.split(name)[0]) if card.chosen and not card.file else card
    try:
        model = models.load(name, **how)
        _ = model.encoder if "trust_remote_code" in card.chosen else None
    except UserError as error:
        if not _absent(card):
            raise
        absent = Setting("weights", "not here", str(error))
        return [*_of_card(card, before), absent, *_known(card)]
    return [
        *_of_card(model.card, before),
        *_of_model(model),
        *_prompts(model, tasks),
        *_known(model.card),
    ]


def _absent(card: Card) -> bool:
    """Whether the model's files cannot be had here, which is no fault of its settings."""
    from embedlab.models.files.model_files import weights

    try:
        weights(card)
    except UserError:
        return True
    return False


def _of_base(name: str) -> list[Setting]:
    """What is known of a base that a package carries, whole or cut; nothing of another name.

    Raises:
        UserError: it has not that many layers.
    """
    plain, layers = folders.split(name)
    base = bases().get(plain)
    if base is None or Path(plain).is_dir():
        return []
    if layers:
        folders.check_layers(plain, layers, base.layers)
    facts = {
        "description": base.description,
        "source": base.source,
        "licence": base.licence,
        "parameters": base.parameters,
        "layers": f"{layers} of {base.layers}" if layers else base.layers,
        "dimensions": base.dim,
        "max_length": base.max_length,
    }
    package = base.package
    here = packaged.folder_of(package.module) is not None
    return [
        Setting("base", name, ""),
        *(Setting(key, value, BASE) for key, value in facts.items()),
        Setting("sha256", package.sha256, f"{package.weights}, checked before it is read"),
        Setting("package", package.package, "installed" if here else f"type {package.install}"),
        Setting("without training", ", ".join(f"{form}({name})" for form in FORMS), ""),
    ]


def _of_card(card: Card, before: Card) -> Iterator[Setting]:
    yield Setting("model", card.name, f"the card {card.file}" if card.file else "")
    if card.origin:
        yield Setting("of the model", card.origin, "")
    recognised = "recognised by its files"
    yield Setting("method", card.method, OURS if card.method == before.method else recognised)
    yield Setting("kind", card.kind.value, OURS if card.kind == before.kind else FILES)
    yield Setting("source", card.source or card.checkpoint or "none", "")
    for key in ("max_length", "truncate_dim", "pooling", "similarity"):
        if key in card.chosen:
            yield Setting(key, card.chosen[key], whose(card))
        elif value := getattr(card, key, None):
            yield Setting(key, value, OURS if getattr(before, key) == value else FILES)
    if card.dim:
        yield Setting(
            "dimensions", card.dim, "truncate_dim" if "truncate_dim" in card.chosen else ""
        )
    for key in sorted(set(card.chosen) - set(common_settings.COMMON)):
        if not common_settings.is_prompt(key):
            yield Setting(f"settings.{key}", card.chosen[key], whose(card))
    for key, value in sorted(card.settings.items()):
        if key not in card.chosen:
            same = before.settings.get(key) == value and not card.file
            yield Setting(f"settings.{key}", value, OURS if same else whose(card))


def _of_model(model: LoadedModel) -> Iterator[Setting]:
    card = model.card
    why = "a digest of its files" if not card.revision else f"the commit that {OURS} names"
    if "revision" in card.chosen:
        why = f"{whose(card)}: {card.chosen['revision']}"
    elif card.method == "auto" or (card.source.count("/") == 1 and not card.revision):
        why = "the newest commit here"
    if card.method == "server":
        why = why if "revision" in card.chosen else "nobody here sees its weights"
        yield Setting("revision", model.revision, why)
        return
    yield Setting("revision", model.revision, why)
    if not model.loader:
        return
    yield Setting("device", model.device, "")
    backend = whose(card) if "backend" in card.chosen else OURS if card.backend else "default"
    yield Setting("backend", card.backend or "torch", backend)
    reason = whose(card) if "dtype" in card.chosen else model.dtype_reason
    yield Setting("dtype", model.dtype, reason)
    trusted = bool(model.settings.get("trust_remote_code"))
    by_name = "trust_remote_code" in card.chosen
    yield Setting(
        "trust_remote_code",
        str(trusted).lower(),
        whose(card) if by_name else "--trust-remote-code" if trusted else "default",
    )
    for key, value in sorted(model.settings.items()):
        if key not in (*card.chosen, *card.settings, "kind", "trust_remote_code"):
            yield Setting(f"settings.{key}", value, f"{MTEB}, {card.registry}")
    if model.fact("attention_kernel"):
        yield Setting("attention", model.fact("attention_kernel"), FILES)


def _known(card: Card) -> Iterator[Setting]:
    """Facts that shape no vector: the licence, and what the model was trained on."""
    registry, own_record = training_sets.of_card(card), training_sets.record_of(card)
    if own_record:
        yield Setting("trained on", own_record.sources, training_sets.RECORD)
        if own_record.tasks is None:
            nobody = f"{training_sets.RECORD} names data that no task is known to be free of"
            yield Setting("training datasets", "unknown", nobody)
        elif not own_record.tasks:
            yield Setting("training datasets", "none of mteb's tasks", training_sets.RECORD)
    theirs = facts_of(registry)
    for name, value in vars(facts_of(details(card, registry))).items():
        shown = {"dimensions": card.dim, "max_tokens": card.max_length}
        if not shown.get(name):
            said = MTEB if value == getattr(theirs, name) else "the card or the model"
            yield Setting(name.replace("_", " "), value, "" if value is None else said)
    if trained := registry.get("training_datasets"):
        yield Setting("training datasets", trained, training_sets.RECORD if own_record else MTEB)


def _prompts(model: LoadedModel, tasks: Sequence[Described]) -> Iterator[Setting]:
    if not model.card.kind.encodes:
        return
    from mteb.types import PromptType

    own = model.fact("prompts")
    for task in tasks or [RetrievalTask(_GENERAL)]:
        roles: tuple[PromptType | None, ...] = tuple(PromptType)
        where = f"{task.name}, " if task.name else ""
        for role in roles if has_roles(task) else (None,):
            prompt, why = with_reason(model.card, own, task, role)
            yield Setting(f"prompt ({where}{role.value if role else 'text'})", repr(prompt), why)
