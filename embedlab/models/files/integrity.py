"""Whether a checkpoint fits the model that reads it.

transformers initialises what a checkpoint lacks at random, drops what it has in excess, and only
prints a table about it. Here that table is read while a model loads: a model of which a part is
random is not evaluated.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from embedlab.errors import UserError

if TYPE_CHECKING:
    from torch import nn

_NAMED = 6  # keys that an error names of each sort; it counts the others

# The classes that put a head on a backbone. What only they read is no part of an embedding model.
_WITH_HEADS = (
    "AutoModel",  # a backbone may be read without its pooler
    "AutoModelForPreTraining",
    "AutoModelForMaskedLM",
    "AutoModelForCausalLM",
    "AutoModelForSeq2SeqLM",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoModelForQuestionAnswering",
    "AutoModelForMultipleChoice",
    "AutoModelForNextSentencePrediction",
)


@dataclass
class Misfit:
    """The keys in which a checkpoint differs from its model; false where there are none."""

    # The model has them, and they were initialised at random.
    missing: list[str] = field(default_factory=list)
    # The checkpoint has them, and nothing reads them.
    unexpected: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)  # with both shapes

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    @property
    def random(self) -> bool:
        """Whether a part of the model is not what was saved."""
        return bool(self.missing or self.misshapen)

    def named(self) -> dict[str, list[str]]:
        """The keys by what is wrong with them."""
        return {name: keys for name, keys in asdict(self).items() if keys}

    def refuse(self, where: Any) -> None:
        """Raises a UserError that names the keys, if there are any."""
        if self:
            problems = (f"{name}: {_listed(keys)}" for name, keys in self.named().items())
            raise UserError(
                f"The checkpoint {where} does not fit the model; {'; '.join(problems)}.",
                "Check config.json and the weights beside it, or get the model again. "
                "`embedlab eval --force` evaluates it all the same, and records so.",
            )


@contextmanager
def watched(seed: int | None = None) -> Iterator[Callable[[Any], Misfit]]:
    """Watch what transformers finds while models load: gives a function from the loaded model to
    what does not fit.

    Args:
        seed: where parts may come to be initialised at random: they are the same each time then.

    sentence-transformers loads backbones without asking for the report, so it is taken where
    transformers prints it (`log_state_dict_report`, transformers 5.20 to 5.23): for each backbone,
    and for each adapter on one.
    """
    import torch
    from transformers import modeling_utils
    from transformers.integrations import peft

    result = Misfit()
    poolers: list[str] = []
    report = vars(modeling_utils)["log_state_dict_report"]

    def listen(
        model: Any,
        pretrained_model_name_or_path: str,
        ignore_mismatched_sizes: bool,
        loading_info: Any,
        logger: Any = None,
    ) -> None:
        missing = sorted(loading_info.missing_keys)
        optional = [
            key for key in missing if key.startswith("pooler.") and model.base_model is model
        ]
        poolers.extend(optional)
        result.missing.extend(key for key in missing if key not in optional)
        result.unexpected.extend(sorted(_unread(model, loading_info.unexpected_keys)))
        result.misshapen.extend(
            f"{key} {list(has)} instead of {list(wants)}"
            for key, has, wants in sorted(loading_info.mismatched_keys)
        )
        report(model, pretrained_model_name_or_path, ignore_mismatched_sizes, loading_info, logger)

    def misfit(model: Any) -> Misfit:
        if poolers and model is not None and _reads_pooler(model):
            result.missing.extend(poolers)
            poolers.clear()
        return result

    vars(modeling_utils)["log_state_dict_report"] = vars(peft)["log_state_dict_report"] = listen
    try:
        with torch.random.fork_rng(enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            yield misfit
    finally:
        vars(modeling_utils)["log_state_dict_report"] = vars(peft)["log_state_dict_report"] = report


def _reads_pooler(model: Any) -> bool:
    """Whether a module takes the pooler's output;
    sentence-transformers' own poolings take the token states.
    """
    return any(
        "pooler_output" in repr(getattr(module, "modality_config", ""))
        for module in model.modules()
    )


def _unread(model: "nn.Module", keys: Iterable[str]) -> set[str]:
    """The keys that belong to no head which transformers knows for this architecture."""
    keys = set(keys)
    return keys - _of_heads(model, keys) if keys else keys


def _of_heads(model: "nn.Module", asked: set[str]) -> set[str]:
    """Which of these keys belong to a head, by its own names or those that files have for them."""
    import torch
    import transformers

    from embedlab.compat.transformers_internals import named_in

    prefix = f"{model.base_model_prefix}."
    found: set[str] = set()
    there = set(model.state_dict())
    for name in _WITH_HEADS:
        try:
            with torch.device("meta"):  # shapes alone: nothing is allocated
                bare = getattr(transformers, name).from_config(model.config)
        except (ValueError, ImportError, AttributeError):  # the architecture has no such class
            continue
        own = {
            key
            for key, _ in [*bare.named_parameters(remove_duplicate=False), *bare.named_buffers()]
        }
        own |= set(bare.state_dict())
        keys = own | {key.removeprefix(prefix) for key in own} | {prefix + key for key in own}
        found |= {key for key in asked if {key, named_in(bare, key)} & (keys - there)}
    return found


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more
