"""What identifies a model: its content, as a digest of the files that it is loaded from.

Files are enough where all that shapes a vector lies in them, and reading them takes no torch. A
plugin may build its model from anything: there the loaded parameters, settings and tokenizers
count (`digests.of_loaded`), and the code that made them (`source_code.of_code`).
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from embedlab import hub
from embedlab.bases import folders
from embedlab.errors import UserError
from embedlab.models.files.digests import of_text, sha256
from embedlab.models.files.source_code import module_file, of_code
from leaderboard.plain_json import from_json

# What no loader reads: descriptions, training curves, and weights for other runtimes.
_NOT_READ = {
    ".md", ".csv", ".png", ".jpg", ".pdf", ".onnx", ".h5", ".msgpack", ".gguf", ".ot", ".tflite",
}  # fmt: skip


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
    contents = {}
    for base in adapter_bases(folder):
        contents[f"base {base}"] = of_source(base)
    for path in folder.rglob("*config.json"):  # of models, tokenizers and processors
        config = _json(path)
        for reference in _strings(config.get("auto_map") or {}):
            repository, elsewhere, _ = reference.partition("--")
            if elsewhere:
                contents[f"code {repository}"] = of_source(repository)
        if isinstance(tokenizer := config.get("tokenizer_name_or_path"), str):
            contents[f"tokenizer {tokenizer}"] = of_source(tokenizer)
    for reference in module_classes(folder):
        package = reference.rpartition(".")[0]
        own = (folder / f"{package}.py").is_file()
        if package and not own and not package.startswith(("sentence_transformers.", "embedlab.")):
            for file in module_file(package):
                contents[f"module {package}"] = of_code(file, package.partition(".")[0])
    return [f"{name}: {content}" for name, content in sorted(contents.items())]


def brings_code(folder: Path) -> bool:
    """Whether a model's folder holds Python code, or names code of another repository."""
    if any(folder.rglob("*.py")):
        return True
    return any(_json(path).get("auto_map") for path in folder.rglob("*config.json"))


def of_settings(settings: Mapping[str, Any]) -> str:
    """The digest of the models that a method's settings name beside its source;
    empty where there are none.
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
    """A hub model's commit, which its folder is named after,
    and a digest of what it refers to beside it.
    """
    outside = references(folder)
    return folder.name + (f"+{of_text(repr(outside))}" if outside else "")


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
    for modules in lists:
        for module in modules.values() if isinstance(modules, dict) else modules or ():
            reference = module.get("type") if isinstance(module, dict) else module
            if isinstance(reference, str):
                yield reference


def _json(path: Path, kind: type = dict) -> Any:
    """What the file holds; empty where that is no JSON of this kind,
    of which the loader will speak.
    """
    try:
        value = from_json(path.read_bytes())
    except (OSError, ValueError):
        return kind()
    return value if isinstance(value, kind) else kind()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)
