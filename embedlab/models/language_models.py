"""Language models on this machine, as they write text: a base by name, a causal language model of
transformers, or the weights of a GEM, which also embed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedlab import hub, models
from embedlab.bases import folders
from embedlab.bases.base_cards import bases
from embedlab.errors import UserError
from embedlab.hardware import as_torch
from embedlab.models.files import identity, integrity
from embedlab.models.files.model_files import weights
from embedlab.models.loading import quiet


@dataclass(frozen=True)
class LanguageModel:
    """A model that writes text, its tokenizer, and the identity of its weights."""

    name: str
    model: Any
    tokenizer: Any
    identity: str


def hint() -> str:
    """What to type where a name is that of no language model."""
    return (
        f"Choose a base ({', '.join(bases())}), another causal language model (such as"
        " Qwen/Qwen3-0.6B), or a trained GEM."
    )


def identify(name: str) -> tuple[str, Path, str]:
    """The name, folder and identity of a language model, not loaded.

    Raises:
        UserError: the model is unknown, or has no weights.
    """
    if folders.is_base(name):
        folder = folders.folder(name)
        folders.require_language_model(folder, name)
        return name, folder, f"{name}@{identity.of_folder(folder)}"
    card = models.find(name)
    if not card.kind.has_weights:
        raise UserError(f"{card.name} cannot generate text.", hint())
    hub.settle()
    folder, revision = weights(card)
    return card.name, folder, f"{card.source or card.name}@{revision}"


def load(name: str, *, device: str, dtype: str) -> LanguageModel:
    """A language model by name.

    Args:
        name: a base, a hub id, a local folder, or the name of a card.
        device: torch device.
        dtype: of the weights, by its name.

    Raises:
        UserError: the model is unknown or cannot generate.
    """
    shown, folder, known = identify(name)
    if (folder / "modules.json").is_file():
        # A GEM, saved as the sentence-transformers model that it also is.
        card = models.find(name)
        asked = card.source if card.method == "auto" else card.name
        encoder = models.load(asked, device=device, dtype=dtype).encoder
        model, tokenizer = getattr(encoder[0], "model", None), encoder.tokenizer
    else:
        model, tokenizer = _read(folder, shown, device, dtype)
    if model is None or not getattr(model, "can_generate", lambda: False)():
        raise UserError(f"{shown} cannot generate text.", hint())
    return LanguageModel(shown, model.eval(), tokenizer, known)


def _read(folder: Path, name: str, device: str, dtype: str) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    quiet()
    try:
        built = AutoConfig.from_pretrained(folder).architectures or []
        # transformers would put a random head on an encoder and let it talk.
        if not any(
            word in architecture for architecture in built for word in ("CausalLM", "LMHead")
        ):
            return None, None
        with integrity.watched() as misfit:
            model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=as_torch(dtype))
            model = model.to(device)
        misfit(model).refuse(folder)
        return model, AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"The generator {name} cannot be loaded: {error}", hint()) from error
