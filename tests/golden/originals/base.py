"""Runs the methods' own public code on the tiny checkpoints and keeps the numbers:
`expected/NAME.npz`.

    python tests/golden/originals SOURCES CHECKPOINTS [NAME ...]

SOURCES has clones of the repositories named in README.md, each under its short name, CHECKPOINTS is
what tiny.py wrote; README.md says in which environment. Nothing of the originals is kept here: the
functions below only call them.
"""

import json
import sys
import types
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np

HERE = Path(__file__).parents[1]
GIVEN = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))
TEXTS, TASK, PROMPT = GIVEN["texts"], GIVEN["instruction"], GIVEN["prompt"]
SOURCES, CHECKPOINTS = Path(sys.argv[1]), Path(sys.argv[2])
LENGTH = 64  # tokens; short, so that the tests are quick and many texts are cut
MAKERS = {}


def maker(function):
    MAKERS[function.__name__.replace("_", "-")] = function
    return function


def batches(encode, form: str, texts=TEXTS) -> dict[str, np.ndarray]:
    """`encode(texts)` on the texts in batches of 1 and of 21."""
    found = {}
    for size in (1, 21):
        parts = [encode(texts[start : start + size]) for start in range(0, len(texts), size)]
        found[f"{form}_{size}"] = np.concatenate([np.asarray(part, np.float32) for part in parts])
    return found


def use(*folders: str) -> None:
    """Put an original's folder first on the path;
    forget what another one left under the same names.
    """
    for name in list(sys.modules):
        if name.partition(".")[0] in {
            "src",
            "utils",
            "models",
            "modeling",
            "arguments",
            "train",
            "data",
        }:
            del sys.modules[name]
    sys.path[:0] = [str(SOURCES / folder) for folder in folders]


def stub(name: str, **members) -> None:
    """Stand in for a package that the original imports and does not need here."""
    module = types.ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    sys.modules[name] = module


def from_file(path: str, package: str = ""):
    """A module of the original by its file, without what its packages import on the way."""
    name = f"{package}.{Path(path).stem}" if package else f"original_{Path(path).stem}"
    spec = spec_from_file_location(name, SOURCES / path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
