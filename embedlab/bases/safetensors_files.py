"""Writing a base's weights: out of GGUF, and cut after a number of layers."""

import io
import json
import re
from contextlib import redirect_stderr
from pathlib import Path
from shutil import copyfile

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from embedlab.compat.gguf_internals import read_once
from embedlab.errors import UserError, missing_extra

_LAYER = re.compile(r"\.(?:layers|layer|blocks|block|h)\.(\d+)\.")


def tensor_bytes(tensor: torch.Tensor) -> memoryview:
    """A tensor's bytes, in its own dtype."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def convert(file: Path, target: Path) -> None:
    """Write a language model out of GGUF as `from_pretrained` reads it: float32 safetensors,
    configuration, tokenizer.

    Raises:
        UserError: the package gguf is not installed.
    """
    where = {"gguf_file": file.name, "local_files_only": True}
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # transformers draws a bar that cannot be turned off.
        with redirect_stderr(io.StringIO()), read_once():
            read = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **where)
            tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
    except ImportError as error:
        raise missing_extra("Reading weights in GGUF", "demo") from error
    config = type(read.config)(
        **{
            key: value
            for key, value in read.config.to_dict().items()
            if key not in ("quantization_config", "_model_name_or_path", "_name_or_path")
        }
    )
    # A fresh model: the one that was read says that it is quantised, and would not be saved.
    with torch.device("meta"):
        model = type(read)(config)
    model.load_state_dict(read.state_dict(), assign=True)
    model.tie_weights()
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def cut(source: Path, layers: int, key: str, target: Path) -> None:
    """Write the model in `source` with its first layers only; what is no layer stays.

    Args:
        key: under which the configuration has their number.

    Raises:
        UserError: there are no safetensors, or the layers cannot be told from their names.
    """
    files = sorted(source.glob("*.safetensors"))
    if not files:
        raise UserError(
            f"The folder {source} holds no safetensors, so it cannot be cut.",
            "Save the model with transformers' save_pretrained, then give that folder.",
        )
    kept: dict[str, torch.Tensor] = {}
    dropped = 0
    for file in files:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - no dict
                layer = _LAYER.search(f".{name}")
                if layer and int(layer[1]) >= layers:
                    dropped += 1
                else:
                    kept[name] = opened.get_tensor(name)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    if not dropped and config[key] != layers:
        raise UserError(
            f"The layers of {source} cannot be told from the names of its weights.",
            "Use it whole, without @layers=.",
        )
    config[key] = layers
    if isinstance(config.get("layer_types"), list):
        config["layer_types"] = config["layer_types"][:layers]
    for path in source.iterdir():
        beside = path.suffix in (".json", ".model", ".jinja", ".txt")
        if beside and not path.name.endswith(".index.json") and path.is_file():
            copyfile(path, target / path.name)
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(kept, target / "model.safetensors", metadata={"format": "pt"})
