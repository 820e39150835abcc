"""Private API of transformers, read in transformers 5.23."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase


def backend_of(tokenizer: PreTrainedTokenizerBase) -> Tokenizer | None:
    """The tokenizer in Rust below (`PreTrainedTokenizerFast._tokenizer`);
    None where there is none.
    """
    backend = getattr(tokenizer, "_tokenizer", None)
    return backend if isinstance(backend, Tokenizer) else None


def replace_backend(tokenizer: PreTrainedTokenizerBase, backend: Tokenizer) -> None:
    """Put another tokenizer in Rust below (`PreTrainedTokenizerFast._tokenizer`)."""
    vars(tokenizer)["_tokenizer"] = backend


def attention_of(config: object) -> str:
    """The attention implementation that a configuration names
    (`PreTrainedConfig._attn_implementation`).
    """
    return str(getattr(config, "_attn_implementation", "") or "")


def initialise(module: nn.Module, like: PreTrainedModel) -> None:
    """Give a module's parts the initial weights of a model's own
    (`PreTrainedModel._init_weights`).
    """
    module.apply(like._init_weights)


def named_in(model: PreTrainedModel, key: str) -> str:
    """What a model calls the weight that files call `key`, such as GPT-NeoX's `embed_out`, its
    `lm_head` (`conversion_mapping.get_model_conversion_mapping`).
    """
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightRenaming

    for each in get_model_conversion_mapping(model):
        if isinstance(each, WeightRenaming):
            key, _ = each.rename_source_key(key)
    return key


class OwnCheckpoints:
    """A trainer whose checkpoints are written and read by its own methods.

    Beside transformers' `Trainer`, before it in the order of classes, it redirects `_save`,
    `_save_checkpoint` and `_load_from_checkpoint` to the three methods below.
    """

    args: Any

    def write_state(self, folder: Path) -> None:
        """Write what is trained to a checkpoint's folder."""
        raise NotImplementedError

    def read_state(self, folder: Path) -> None:
        """Read what `write_state` wrote."""
        raise NotImplementedError

    def checkpoint_written(self) -> None:
        """Called when a checkpoint is whole."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        self.write_state(Path(output_dir or self.args.output_dir))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]  # the trainer's, next in the order of classes
        self.checkpoint_written()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.read_state(Path(resume_from_checkpoint))
