"""What identifies a model: its content. A digest of the files that it is loaded from, or of what
was loaded.

Files are enough where all that shapes a vector lies in them, and reading them takes no torch. A
plugin may build its model from anything: there the loaded parameters, settings and tokenizers
count, and the code that made them.
"""

import ast
import hashlib
import os
import pickle
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedlab import hub
from embedlab.bases import folders
from embedlab.bases.packaged import sha256 as sha256
from embedlab.encoders.methods import METHODS, method
from embedlab.errors import UserError
from leaderboard.plain_json import from_json

if TYPE_CHECKING:
    import torch

# What no loader reads: descriptions, training curves, and weights for other runtimes.
_HOUSE = ("embedlab", "retrievers", "leaderboard", "app")
_NOT_READ = {
    ".md",
    ".csv",
    ".png",
    ".jpg",
    ".pdf",
    ".onnx",
    ".h5",
    ".msgpack",
    ".gguf",
    ".ot",
    ".tflite",
}


def of_folder(folder: Path) -> str:
    """The digest of a model's folder: every file that a loader may read, and the models and code
    that it refers to.
    """
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}:{sha256(path)}\n".encode())
    for line in references(folder):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()[:16]


def references(folder: Path) -> list[str]:
    """What the folder is loaded with beside its own files, each by name and content.

    The base model of a PEFT adapter, a tokenizer or code (`auto_map`) of another repository, and
    module classes of installed packages.
    """
    found = {}
    for base in adapter_bases(folder):
        found[f"base {base}"] = of_source(base)
    for path in folder.rglob("*config.json"):  # of models, tokenizers and processors
        config = _json(path)
        for reference in _strings(config.get("auto_map") or {}):
            repository, elsewhere, _ = reference.partition("--")
            if elsewhere:
                found[f"code {repository}"] = of_source(repository)
        if isinstance(tokenizer := config.get("tokenizer_name_or_path"), str):
            found[f"tokenizer {tokenizer}"] = of_source(tokenizer)
    for reference in module_classes(folder):
        package = reference.rpartition(".")[0]
        own = (folder / f"{package}.py").is_file()
        if package and not own and not package.startswith(("sentence_transformers.", "embedlab.")):
            for file in module_file(package):
                found[f"module {package}"] = of_code(file, package.partition(".")[0])
    return [f"{name}: {content}" for name, content in sorted(found.items())]


def of_settings(settings: Mapping[str, Any]) -> str:
    """The digest of the models that a method's settings name beside its source; empty where there
    are none.
    """
    sources = sorted(
        {source for name in ("base", "adapters") for source in _strings(settings.get(name))}
    )
    return of_text(repr([(source, of_source(source)) for source in sources])) if sources else ""


def of_source(source: str) -> str:
    """The digest of a local folder or base, or the commit of a hub model and what it refers to."""
    if Path(source).is_dir():
        return of_folder(Path(source))
    try:
        if folders.is_base(source):
            return of_folder(folders.folder(source))
        return of_snapshot(hub.snapshot(source))
    except UserError:  # where the loader needs it, it will say so
        return "not here"


def of_snapshot(folder: Path) -> str:
    """A hub model's commit, which its folder is named after, and a digest of what it refers to
    beside it.
    """
    outside = references(folder)
    return folder.name + (f"+{of_text(repr(outside))}" if outside else "")


def of_code(file: Path, package: str = "") -> str:
    """The digest of a Python file and of all code that it imports, save that of installed
    libraries.

    Args:
        file: where to begin.
        package: a package whose own modules count although it is installed.
    """
    digest = hashlib.sha256()
    for path in sorted(_closure(file.resolve(), package)):
        digest.update(f"{path.name}:{sha256(path)}\n".encode())
    return digest.hexdigest()[:16]


def of_loaded(encoder: Any) -> str:
    """The digest of a loaded model: parameters, buffers, settings, tokenizers, and what plain
    values modules keep.
    """
    import torch
    from xxhash import xxh3_128

    digest = xxh3_128()

    def add(name: str, content: Any) -> None:
        digest.update(f"\n{name}:".encode())
        digest.update(content)

    for name, tensor in sorted(
        {**dict(encoder.named_parameters()), **dict(encoder.named_buffers())}.items()
    ):
        add(f"{name} {tensor.dtype} {tuple(tensor.shape)}", _bytes(tensor.detach()))
    for name, module in encoder.named_modules():
        add(name, f"{type(module).__module__}.{type(module).__qualname__}".encode())
        for key, value in sorted(vars(module).items()):
            if (
                isinstance(value, torch.nn.Module)
                or key.startswith("_")
                or key in ("model_card_data", "training")
            ):
                continue
            add(f"{name}.{key}", _content(value))
    return digest.hexdigest()


def of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _files(folder: Path) -> Iterator[Path]:
    for place, inner, names in os.walk(folder, followlinks=True):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__pycache__")))
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.suffix not in _NOT_READ and path.is_file():
                yield path


def adapter_bases(folder: Path) -> list[str]:
    """The models that the PEFT adapters in a folder are put on."""
    bases = (
        _json(path).get("base_model_name_or_path")
        for path in sorted(folder.rglob("adapter_config.json"))
    )
    return [base for base in bases if isinstance(base, str) and base]


def module_classes(folder: Path) -> Iterator[str]:
    """The classes that modules.json names, and those within its routers."""
    lists = [_json(folder / "modules.json", list)]
    lists += [_json(path).get("types") for path in folder.rglob("router_config.json")]
    for found in lists:
        for module in found.values() if isinstance(found, dict) else found or ():
            reference = module.get("type") if isinstance(module, dict) else module
            if isinstance(reference, str):
                yield reference


def _json(path: Path, kind: type = dict) -> Any:
    """What the file holds; empty where that is no JSON of this kind, of which the loader will
    speak.
    """
    try:
        found = from_json(path.read_bytes())
    except (OSError, ValueError):
        return kind()
    return found if isinstance(found, kind) else kind()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _bytes(tensor: "torch.Tensor") -> memoryview:
    import torch

    return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _content(value: Any) -> bytes:
    """A value's content; a changed address in memory is no change."""
    if hasattr(value, "backend_tokenizer"):  # a fast tokenizer: all it knows
        return str(value.backend_tokenizer.to_str()).encode()
    if hasattr(value, "to_json_string"):  # a transformers configuration
        return str(value.to_json_string()).encode()
    try:
        return pickle.dumps(value)
    except Exception:  # functions and the like, which are code
        return type(value).__qualname__.encode()


def _closure(file: Path, package: str) -> set[Path]:
    """The file and, by their import statements, all files of a user's own that it leads to."""
    found, todo = set(), [file]
    while todo:
        path = todo.pop()
        if path in found or path.suffix != ".py" or not path.is_file():
            continue
        found.add(path)
        try:
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        except (SyntaxError, ValueError):  # the loader will say so
            continue
        for node in nodes:
            for name in _imported(node, path):
                todo.extend(_own(name, path, package))
    return found


def _imported(node: ast.AST, path: Path) -> list[str]:
    """The modules that an import statement may mean: `from a import b` is a, and a.b if that is a
    module.
    """
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        between = "" if base.endswith(".") or not base else "."
        return [
            *([base] if node.module else []),
            *(f"{base}{between}{alias.name}" for alias in node.names),
        ]
    return []


def _own(name: str, importer: Path, package: str) -> list[Path]:
    """The file of a module where it is the user's own, the `package`'s or one of our methods', else
    nothing.
    """
    if name.startswith("."):
        level = len(name) - len(name.lstrip("."))
        return _module_file(importer.parents[level - 1], name.lstrip(".").split("."))
    counted = any(
        name == one or name.startswith(f"{one}.") for one in (package, "embedlab.encoders") if one
    )
    if not counted and (name.partition(".")[0] in _HOUSE or _installed(name)):
        return []
    return module_file(name)


def of_method(name: str) -> str:
    """A digest of the code that is a method's own: its module and what that imports of ours.

    Empty where sentence-transformers loads and runs the model by itself.
    """
    if name == "sentence-transformers":
        return ""
    if name in METHODS:
        return of_code(module_file(METHODS[name])[0])
    module = method(name).module
    return "-".join(of_code(file, module.partition(".")[0]) for file in module_file(module))


def module_file(name: str) -> list[Path]:
    """The file of a module, found without importing its packages; empty where there is none."""
    top, *rest = name.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if not rest:
        return [Path(spec.origin)] if spec.origin and spec.origin.endswith(".py") else []
    return [
        file
        for place in spec.submodule_search_locations or ()
        for file in _module_file(Path(place), rest)
    ][:1]


def _module_file(place: Path, parts: list[str]) -> list[Path]:
    path = place.joinpath(*parts)
    return [
        file.resolve() for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()
    ]


@cache
def _installed(name: str) -> bool:
    """Whether a module comes with Python or with an installed library."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    files = module_file(top)
    return not files or any(files[0].is_relative_to(place) for place in _libraries())


def _libraries() -> list[Path]:
    return [
        Path(place).resolve()
        for place in sys.path
        if "site-packages" in place or "dist-packages" in place
    ]
