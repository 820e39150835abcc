"""From a model's name to a loaded model: a card's name,
a hub id, a local folder, or a plugin's file.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from embedlab import hub
from embedlab.bases import folders
from embedlab.errors import UserError, unknown
from embedlab.hardware import choose_device, choose_dtype, processor_flags
from embedlab.models import backends, plugin_cards, training_free_names
from embedlab.models.cards import Card, cards
from embedlab.models.facts import mteb_registry
from embedlab.models.facts.fact_cache import Remembered
from embedlab.models.facts.model_card_facts import facts
from embedlab.models.facts.model_facts import FACTS
from embedlab.models.files import digests, identity, source_code
from embedlab.models.files.model_files import kind_of, weights
from embedlab.models.kinds import Kind
from embedlab.models.loaded_model import LoadedModel
from embedlab.models.loading import Loading
from embedlab.models.served import server_loading, server_models
from embedlab.models.settings import common_settings, model_settings, user_cards
from embedlab.servers import server_names


def load(
    name: str,
    *,
    device: str | None = None,
    dtype: str = "auto",
    force: bool = False,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """Load a model for encoding.

    Args:
        name: a card's name (`embedlab models`), a hub id, a local folder, or
            `path/to/file.py:Class`; settings of the method may follow, as in
            `nv-embed-v2?keep_end=false`.
        device: torch device such as "cuda:1" or "cpu"; None takes a GPU where there is one.
        dtype: "float32", "bfloat16", "float16", or "auto", which chooses by the hardware.
        force: load a checkpoint that does not fit its model all the same; what does not fit is
            recorded.
        trust_remote_code: run the Python code that a stock model's folder or repository brings.

    Raises:
        UserError: the model is unknown, cannot be had offline, or its files are not what the card
            promises.
    """
    card = find(name)
    if card.method == server_models.METHOD:
        return server_loading.load(card)
    if card.method == "bm25":
        return LoadedModel(
            card, None, revision=digests.of_text(repr(sorted(card.settings.items())))
        )
    hub.settle()
    from embedlab.encoders.methods import METHODS, method, recognise

    named = device
    device, dtype_name, reason = _where(card, device, card.chosen.get("dtype", dtype))
    if card.method == "file":
        asked = tuple(
            option
            for option, given in (("device", named), ("dtype", reason == "asked for"))
            if given
        )
        return _of_file(name, card, force, device, dtype_name, reason, asked)

    def divided(card: Card) -> tuple[dict[str, Any], dict[str, Any]]:
        return model_settings.divided(card, method(card.method).function if card.chosen else None)

    if card.method != "auto":  # before anything is fetched
        divided(card)
    folder, revision = (None, "") if plugin_cards.without_files(card) else weights(card)
    settings, found_by_us = dict(card.settings), card.method == "auto"
    if found_by_us:
        assert folder is not None  # files alone are to be recognised
        known = Remembered({"source": card.source, "revision": revision, "folder": str(folder)})
        recognised = known.get("method", lambda: recognise(folder))
        mteb = known.get("mteb", lambda: _known_to_mteb(card.source))
        card = replace(card, method=recognised, kind=kind_of(folder), **mteb)
        if card.registry and (recognised, card.kind) == ("sentence-transformers", Kind.DENSE):
            settings |= known.get("settings", lambda: mteb_registry.settings(card.registry))
    own, common = divided(card)
    settings |= own
    common_settings.refuse_unfit(card, common, loaded=bool(METHODS.get(card.method)))
    if common.get("trust_remote_code"):
        _refuse_needless_trust(card, folder)
        trust_remote_code = True
    if card.backend == "gguf":
        more, digest = backends.gguf(folder, card.name, card.method)
        settings, revision = settings | more, f"{revision}+{digest}"
    if card.method == "sentence-transformers":
        settings |= {"kind": card.kind.value} | (
            {"trust_remote_code": True} if trust_remote_code else {}
        )
    code = source_code.of_method(card.method)
    if card.method in METHODS and (named := identity.of_settings(settings)):
        revision = f"{revision}+{named}"
    address = {
        **{key: value for key, value in vars(card).items() if key not in _NOT_REMEMBERED_BY},
        "settings": settings,
        "chosen": common_settings.shaping(common),
        "revision": revision,
        "code": code,
        "folder": str(folder),
        "device": device,
        "dtype": dtype_name,
        "force": force,
        "processor": sorted(processor_flags()),  # which kernels there are
    }
    arguments = {"device": device, "dtype": dtype_name, **settings}
    loading = Loading(name, card.method, force, arguments, folder, common, card.backend)
    model = LoadedModel(card, loading, revision, device, dtype_name, reason, settings, code, common)
    # A plugin's code may change without notice:
    # it is loaded every time, and what was loaded is its identity.
    model.remembered = Remembered(address if card.method in METHODS else None)
    described = model.remembered.get("card", lambda: facts(card, model.encoder))
    model.misfit = model.remembered.get("misfit", lambda: _misfit(model, loading))
    if model.misfit or card.method not in METHODS:
        model.revision = "-".join(filter(None, (revision, digests.of_loaded(model.encoder))))
    if "encoder" in vars(model) and Kind(described.get("kind", card.kind)).encodes:
        model.remembered.update({name: of(model.encoder) for name, of in FACTS.items()})
    model.card = replace(card, **described)
    bare = (
        card.method == "sentence-transformers"
        and folder
        and not (folder / "modules.json").is_file()
    )
    if bare and found_by_us and model.card.kind.is_dense and "pooling" not in common:
        version = (
            "It does not say how its tokens are pooled; sentence-transformers' default is"
            f" {model.card.pooling}."
        )
        model.card = replace(model.card, notes=f"{card.notes} {version}".strip())
    return model


# Of a card: what no fact of the loaded model depends on.
_NOT_REMEMBERED_BY = (
    "published", "description", "notes", "name", "origin", "file", "prompts", "instruction",
    "instruct_documents",
)  # fmt: skip


def _of_file(
    name: str, card: Card, force: bool, device: str, dtype: str, reason: str, asked: Sequence[str]
) -> LoadedModel:
    """The model that code of the user's makes, `path/to/file.py:Class`: one of
    sentence-transformers, or any object (`objects`).
    """
    from sentence_transformers.base.model import BaseModel

    from embedlab.encoders.methods import from_file
    from embedlab.models import objects

    _, common = model_settings.divided(card, None)
    arguments = {"device": device, "dtype": dtype}
    loader = from_file(card.source, asked=asked, objects=objects.CALLS)
    built = Loading(name, loader, force, arguments, chosen=common, backend=card.backend)
    encoder = built()
    code = source_code.of_code(Path(card.source.rpartition(":")[0]))
    if not isinstance(encoder, BaseModel):
        if ignored := [key for key in common if key != "dtype"]:  # which the class itself got
            raise UserError(
                f"{ignored[0]} has no effect on {card.origin}: its object encodes as it does by"
                " itself.",
                "Leave it out, or let the class do it.",
            )
        model = objects.load(encoder, card.name)
        model.revision = f"{code}-{model.revision}"
        return model
    model = LoadedModel(
        card,
        lambda: encoder,
        f"{code}-{digests.of_loaded(encoder)}",
        device,
        dtype,
        reason,
        misfit=built.misfit.named(),
        chosen=common,
    )
    model.card = replace(card, **facts(card, model.encoder))
    common_settings.refuse_unfit(model.card, common, loaded=True)
    return model


def _refuse_needless_trust(card: Card, folder: Path | None) -> None:
    brings = card.method == "sentence-transformers" and folder and identity.brings_code(folder)
    if not brings:
        raise UserError(
            f"trust_remote_code has no effect on {card.origin}: it brings no code of its own.",
            "Leave it out.",
        )


def _where(card: Card, device: str | None, dtype: str) -> tuple[str, str, str]:
    """Device, dtype and the reason for it: the backend's, where the model has one."""
    backend = backends.BACKENDS.get(card.backend)
    if backend:
        backend.require(card.name)
        if backend.exports:
            backend.refuse_device(device, card.name)
            return "cpu", *backend.dtype(dtype, card.name)
    device = choose_device(device)
    return device, *choose_dtype(dtype, device)


def _misfit(model: LoadedModel, loading: "Loading") -> dict[str, list[str]]:
    assert model.encoder is not None  # loading it is what finds out
    return loading.misfit.named()


def find(name: str) -> Card:
    """The card for a name; hub ids, local folders and plugin files get one made for them.

    Settings of its method may stand behind the name (`model_settings`).

    Raises:
        UserError: the name fits none of these, or a setting cannot be read.
    """
    if server_names.is_server(name):
        return server_models.card(name)
    if theirs := user_cards.found(name, find):
        return theirs
    if ("?" in name or backends.ends_with_one(name)) and not is_path(name):
        plain, settings = model_settings.split(name)
        if training_free_names.split(plain) and (said := {"form", "method"} & settings.keys()):
            raise UserError(
                f"{plain} says already what {said.pop()} says.",
                f"Type one of them: {', '.join(training_free_names.FORMS)}.",
            )
        return model_settings.applied(find(plain), settings)
    known = cards()
    if name in known:
        return known[name]
    by_source = {card.source.lower(): card for card in known.values() if card.source}
    if name.lower() in by_source:
        return by_source[name.lower()]
    if card := plugin_cards.named(name):
        return card
    path = Path(name)
    if not path.is_dir() and (card := training_free_names.card(name)):
        return card
    if path.is_dir():
        return Card(
            name=path.resolve().name, method="auto", source=str(path.resolve()), kind=kind_of(path)
        )
    if folders.is_base(name):
        raise UserError(
            f"{name} is a base: a language model, which does not say how it embeds.",
            f"Type mean({name}), or {', '.join(training_free_names.FORMS[1:])} in its place;"
            f" or train it: embedlab train RECIPE --base {name}",
        )
    if is_code(name):
        return Card(name=name.rpartition(":")[2], method="file", source=name)
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return Card(name=name, method="auto", source=name)
    others = {card.name: card for card in plugin_cards.every()[0]}
    if name in others:
        return others[name]
    raise unknown(
        "model",
        name,
        [*known, *user_cards.named(), *others],
        "Type `embedlab models` for all; hub ids (owner/name) and local folders work too.",
    )


def is_path(text: str) -> bool:
    """Whether a text is the path of something that is there."""
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # longer than a path may be, or with a null byte
        return False


def is_code(name: str) -> bool:
    """Whether a name leads to code of the user's,
    `path/to/file.py:Class`, which loading the model runs.
    """
    return ":" in name and name.rpartition(":")[0].endswith(".py")


def _known_to_mteb(source: str) -> dict[str, Any]:
    """What mteb's registry says of a hub model, as fields of its card."""
    return (
        mteb_registry.known(source) if source.count("/") == 1 and not source.startswith("/") else {}
    )
