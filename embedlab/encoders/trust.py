"""Saved models that hold our modules: what they are called in a folder,
and that importing this file is enough.

To sentence-transformers 6 every module class outside its own namespace is remote code, an installed
package's too, and its error shows nothing of ours but the name of the class. So a folder says
`pip_install_embedlab.Decoder`, and holds pip_install_embedlab.py, which says the rest. Importing
this file declares these names as known; nothing else gains trust by it.
"""

import json
from pathlib import Path
from typing import Any

from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import Module
from sentence_transformers.util import import_from_string

from embedlab.compat.sentence_transformers_internals import declare_modules

NEEDS = "pip_install_embedlab"

# Every module of ours, by class; found by `save_model`'s test where one is missing.
MODULES = {
    "BasedTransformer": "plain",
    "BatchPaddedDecoder": "pooling_and_attn",
    "Causal2Vec": "causal2vec",
    "Decoder": "modules.decoder",
    "EchoDecoder": "echo",
    "InContextDecoder": "in_context",
    "LatentAttentionPooling": "nv_embed",
    "LexicalHead": "modules.splade",
    "MarkedPooling": "modules.pooling",
    "PaddedTransformer": "plain",
    "QuestionTransformer": "yes_no",
    "QuotedDecoder": "training_free",
    "TrainablePooling": "pooling_and_attn",
}

_WORDS = """\"\"\"This model's modules are those of embedlab. Type:

    pip install embedlab

and load it with one import before:

    import embedlab.encoders.trust
    from sentence_transformers import {kind}

    model = {kind}("path/to/this/folder")
\"\"\"

{imports}
"""


def save_model(model: BaseModel, folder: Path) -> None:
    """Save the model so that plain sentence-transformers loads it, or says what to install."""
    model.save(str(folder), create_model_card=False)
    say_what_is_needed(folder)


def say_what_is_needed(folder: Path) -> None:
    """Name our modules in a saved model's folder by what they need;
    a folder without any is left as it is.
    """
    file = folder / "modules.json"
    modules = json.loads(file.read_text(encoding="utf-8"))
    ours = [module for module in modules if module["type"].startswith("embedlab.encoders.")]
    if not ours:
        return
    names = sorted({module["type"].rpartition(".")[2] for module in ours})
    for module in ours:
        module["type"] = f"{NEEDS}.{module['type'].rpartition('.')[2]}"
    config = json.loads((folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))
    imports = "\n".join(
        f"from embedlab.encoders.{MODULES[name]} import {name}  # noqa: F401" for name in names
    )
    words = _WORDS.format(kind=config.get("model_type", "SentenceTransformer"), imports=imports)
    (folder / f"{NEEDS}.py").write_text(words, encoding="utf-8")
    file.write_text(json.dumps(modules, indent=2), encoding="utf-8")


class _OurModules(dict[str, Any]):
    """Looked up with the `type` of each entry of a modules.json;
    resolved only then, so that imports stay lazy.
    """

    def get(self, reference: str, default: Any = None) -> Any:
        package, _, name = reference.rpartition(".")
        if name in MODULES and (package == NEEDS or package.startswith("embedlab.encoders.")):
            reference = f"embedlab.encoders.{MODULES[name]}.{name}"
        if not reference.startswith("embedlab.encoders."):
            return default
        found = import_from_string(reference)
        return found if isinstance(found, type) and issubclass(found, Module) else default

    def __bool__(self) -> bool:
        return True  # a Router hands the lookup on to its routes only if it is true


declare_modules(_OurModules())
