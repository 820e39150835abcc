"""Settings that any model may be given, behind its name or on a card of the user's: declared here,
checked here, and put on the card and on the loaded model.

Each says for which kinds of model it is. One that has no effect on a model is refused: its scores
would stand under two names.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embedlab.errors import UserError, unknown
from embedlab.hardware import DTYPES
from embedlab.models.backends import BACKENDS
from embedlab.models.cards import Card
from embedlab.models.kinds import Kind

SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
POOLINGS = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
_SPARSE_POOLINGS = ("max", "sum")
_DENSE, _VECTORS = (Kind.DENSE,), (Kind.DENSE, Kind.SPARSE)
_READING = (*_VECTORS, Kind.LATE)  # those that read prompts
_COMPUTING = (Kind.DENSE, Kind.SPARSE, Kind.CROSS, Kind.LATE)
_PROMPT = "prompt."
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Setting:
    """A setting: what it does, of which type and for which kinds of model."""

    help: str
    type: type = str
    kinds: tuple[Kind, ...] = _COMPUTING
    valid: tuple[str, ...] = ()


COMMON = {
    "max_length": Setting("Tokens that the model reads of a text.", int),
    "truncate_dim": Setting("The first dimensions of its vectors alone.", int, _DENSE),
    "pooling": Setting("How token vectors become one.", kinds=_VECTORS, valid=POOLINGS),
    "similarity": Setting("How vectors are compared.", kinds=_DENSE, valid=SIMILARITIES),
    "revision": Setting("A commit, tag or branch of the hub."),
    "dtype": Setting("Of the weights.", valid=DTYPES),
    "backend": Setting("What runs the transformer; also NAME@onnx.", valid=("torch", *BACKENDS)),
    "trust_remote_code": Setting("Run the Python code that the model brings.", bool),
    "instruction": Setting("The template of queries, with {instruction}.", kinds=_READING),
}
_OF_PROMPTS = Setting(
    "What precedes a text: by role (query, document), task type or task.", kinds=_READING
)
# What a method's loader may have as a setting of its own, under the same name.
_OF_LOADERS = ("max_length", "truncate_dim", "pooling", "similarity")


def is_prompt(key: str) -> bool:
    """Whether a setting is a prompt, `prompt.query`."""
    return key.startswith(_PROMPT)


def is_sentence(key: str) -> bool:
    """Whether a setting's value is a text that a model reads, spaces and all."""
    return is_prompt(key) or key == "instruction"


def is_common(key: str) -> bool:
    """Whether any model may have the setting."""
    return key in COMMON or is_prompt(key)


def is_never_a_loaders(key: str) -> bool:
    """Whether a setting is a common one, whatever the method."""
    return is_common(key) and key not in _OF_LOADERS


def is_text(key: str) -> bool:
    """Whether a setting's value is text, whatever it looks like."""
    return is_common(key) and _setting(key).type is str


def _setting(key: str) -> Setting:
    return COMMON.get(key, _OF_PROMPTS)


def fitting(card: Card) -> list[str]:
    """The names of the settings for models of the card's kind."""
    names = [name for name, setting in COMMON.items() if card.kind in setting.kinds]
    return [*names, *(["prompt.query", "prompt.document"] if card.kind in _READING else [])]


def whose(card: Card) -> str:
    """Who says what was chosen for a model, in words: its name, or a card of the user's."""
    if not card.file:
        return "the name"
    return f"{'the name or ' if '?' in card.name else ''}the card {card.file}"


def prompts(chosen: Mapping[str, Any]) -> dict[str, str]:
    """The prompts among the settings, by role, task type or task."""
    return {key.removeprefix(_PROMPT): value for key, value in chosen.items() if is_prompt(key)}


def of_prompts(by_name: Mapping[str, str]) -> dict[str, str]:
    """Prompts by role, task type or task as settings."""
    return {f"{_PROMPT}{name}": text for name, text in by_name.items()}


def shaping(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the loaded model depends on: all but what is read before a text."""
    return {key: value for key, value in chosen.items() if not is_sentence(key)}


def check_values(settings: Mapping[str, Any]) -> None:
    """Refuse values of another type, or that there are not; settings of methods are passed over.

    Raises:
        UserError: says what is valid.
    """
    for key, value in settings.items():
        if not is_common(key):
            continue
        setting = _setting(key)
        if setting.type is int and not (type(value) is int and value > 0):
            raise UserError(f"{key} is {value!r}.", f"Give a whole number from 1: {key}=128")
        if setting.type is bool and value is not True:
            raise UserError(f"{key} is {value!r}.", f"Type {key}=true, or leave it out.")
        if setting.type is str and not isinstance(value, str):
            raise UserError(f"{key} is {value!r}, which is no text.", setting.help)
        if setting.valid and value not in setting.valid + _more(key):
            valid = ", ".join(setting.valid)
            raise unknown(key, str(value), setting.valid, f"Valid: {valid}.")
        if is_prompt(key):
            _check_prompt(key.removeprefix(_PROMPT), value)
        elif key == "instruction" and "instruction" not in check_template(value):
            raise UserError(
                f"The template {value!r} has no {{instruction}}.",
                'Write for example "Instruct: {instruction}\\nQuery: "; a fixed text is'
                " prompt.query.",
            )


def _more(key: str) -> tuple[str, ...]:
    return _SPARSE_POOLINGS if key == "pooling" else ()


def check_template(text: str) -> list[str]:
    """The placeholders in a prompt.

    Raises:
        UserError: one of them is not {instruction}.
    """
    found = _PLACEHOLDER.findall(text)
    if wrong := [name for name in found if name != "instruction"]:
        raise UserError(
            f"The prompt {text!r} has an unknown placeholder {{{wrong[0]}}}.",
            "Valid is {instruction}, which the task's own instruction fills.",
        )
    return found


def _check_prompt(name: str, text: str) -> None:
    check_template(text)
    if not name.strip("-"):
        raise UserError(
            "A prompt needs a role, a task type or a task.",
            'Type: prompt.query="query: ", or prompt.SciFact-query="...".',
        )


def refuse_unfit(card: Card, settings: Mapping[str, Any], *, loaded: bool = False) -> None:
    """Refuse common settings that models of this kind have no use for.

    Args:
        loaded: the kind is sure; that of a hub model shows only once it is here.

    Raises:
        UserError: names the setting, and those that the model takes.
    """
    sure = loaded or card.method not in ("auto", "file") or Path(card.source).is_dir()
    for key in filter(is_common, settings):
        if sure and card.kind not in _setting(key).kinds:
            raise UserError(
                f"{key} has no effect on {card.origin or card.name}, a {card.kind} model.",
                f"Leave it out. It takes: {', '.join(fitting(card)) or 'none'}.",
            )
    if "revision" in settings and (card.checkpoint or not card.source or _is_local(card)):
        raise UserError(
            f"{card.origin or card.name} is on this machine, and has no revisions.",
            "revision is for models of the hub: leave it out.",
        )


def _is_local(card: Card) -> bool:
    from embedlab.bases import folders

    return Path(card.source).is_dir() or folders.is_base(card.source) or card.method == "file"


def on_card(card: Card, settings: Mapping[str, Any]) -> Card:
    """The card with what the settings say of the model's facts.

    Raises:
        UserError: a value is what the card has anyway.
    """
    anyway = {key: getattr(card, key) for key in ("revision", "instruction", "similarity")}
    for key, value in {**anyway, "backend": card.backend or "torch"}.items():
        if settings.get(key) and settings[key] == value:
            raise UserError(
                f"{key}={settings[key]} is what {card.origin} has anyway.", "Leave it out."
            )
    facts: dict[str, Any] = {
        key: settings[key] for key in ("max_length", "similarity", "pooling") if key in settings
    }
    if "truncate_dim" in settings:
        facts["dim"] = settings["truncate_dim"]
    if "backend" in settings:
        facts["backend"] = settings["backend"].replace("torch", "")
    if "revision" in settings:  # the package with the weights has another
        facts |= {"revision": settings["revision"], "offline": {}}
    return replace(card, **facts)


def put(encoder: Any, settings: Mapping[str, Any], name: str) -> None:
    """Put the settings on a loaded model.

    Raises:
        UserError: the model has no such thing, or the value has no effect on it.
    """
    anyway: list[str] = []
    if length := settings.get("max_length"):
        anyway += ["max_length"] * (getattr(encoder, "max_seq_length", None) == length)
        _put_length(encoder, length, name)
    if pooling := settings.get("pooling"):
        anyway += ["pooling"] * _put_pooling(encoder, pooling, name)
    if dim := settings.get("truncate_dim"):
        whole = encoder.get_embedding_dimension()
        if whole is not None and dim > whole:
            raise UserError(
                f"{name} has no {dim} dimensions.", f"Valid is truncate_dim from 1 to {whole - 1}."
            )
        anyway += ["truncate_dim"] * (dim == whole)
        encoder.truncate_dim = dim
    if similarity := settings.get("similarity"):
        anyway += ["similarity"] * _ranks_alike(encoder, similarity)
        encoder.similarity_fn_name = similarity
    if anyway:
        key = anyway[0]
        raise UserError(
            f"{key}={settings[key]} has no effect on {name}: its vectors and their order are the"
            " same without.",
            "Leave it out.",
        )


def _put_length(encoder: Any, length: int, name: str) -> None:
    config = getattr(encoder, "config", None)
    config = getattr(config, "text_config", None) or config
    most = getattr(config, "max_position_embeddings", None)
    if isinstance(most, int) and 0 < most < length:
        raise UserError(
            f"{name} has positions for {most} tokens, not for {length}.",
            f"Type max_length={most} or less.",
        )
    room = _special_tokens(encoder)
    if length <= room:
        raise UserError(
            f"{name} puts {room} tokens of its own around a text: {length} leave none of it.",
            f"Type max_length={room + 1} or more.",
        )
    with suppress(AttributeError, NotImplementedError):
        encoder.max_seq_length = length
    if getattr(encoder, "max_seq_length", None) != length:
        raise UserError(f"max_length has no effect on {name}.", "Leave it out.")


def _special_tokens(encoder: Any) -> int:
    """How many tokens the tokenizer adds to a text; 0 where it does not say."""
    with suppress(AttributeError, NotImplementedError, TypeError, ValueError):
        return int(encoder.tokenizer.num_special_tokens_to_add())
    return 0


def _put_pooling(encoder: Any, pooling: str, name: str) -> bool:
    """Set how the model pools; whether it did so before."""
    from sentence_transformers.sentence_transformer.modules import Pooling
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    for module in encoder.children():
        if isinstance(module, Pooling | SpladePooling):
            splade = isinstance(module, SpladePooling)
            valid = _SPARSE_POOLINGS if splade else POOLINGS
            if pooling not in valid:
                raise unknown(f"pooling of {name}", pooling, valid, f"Valid: {', '.join(valid)}.")
            attribute = "pooling_strategy" if splade else "pooling_mode"
            before = getattr(module, attribute)
            if not (splade or isinstance(before, str)):
                raise UserError(
                    f"{name} pools in several ways at once.", "Leave the setting pooling out."
                )
            setattr(module, attribute, pooling)
            # Both are the sum of token vectors but for its length, which is made 1.
            same = {before, pooling} <= {"mean", "mean_sqrt_len_tokens"} and _norms(encoder)
            return bool(before == pooling or same)
    raise UserError(
        f"pooling has no effect on {name}, which pools in a way of its own.", "Leave it out."
    )


def _norms(encoder: Any) -> bool:
    """Whether pooled vectors are brought to length 1 at once."""
    from sentence_transformers.base.modules import Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling

    modules = list(encoder.children())
    pools = next(n for n, module in enumerate(modules) if isinstance(module, Pooling))
    return pools + 1 < len(modules) and isinstance(modules[pools + 1], Normalize)


def _ranks_alike(encoder: Any, similarity: str) -> bool:
    """Whether the model's vectors are ranked the same by its own similarity and by this one: all
    but Manhattan's rank vectors of length 1 alike.
    """
    from sentence_transformers.base.modules import Normalize

    before = encoder.similarity_fn_name
    if before == similarity:
        return True
    units = isinstance(list(encoder.children())[-1], Normalize) and not encoder.truncate_dim
    return units and "manhattan" not in (before, similarity)
