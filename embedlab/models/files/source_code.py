"""The code that a model runs: the files that a module leads to, and their digest."""

import ast
import hashlib
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from embedlab.encoders.methods import METHODS, method
from embedlab.models.files.digests import sha256

_PACKAGES = ("embedlab", "retrievers", "leaderboard", "app")


def of_code(file: Path, package: str = "") -> str:
    """The digest of a Python file and of all code that it imports,
    save that of installed libraries.

    Args:
        file: where to begin.
        package: a package whose own modules count although it is installed.
    """
    digest = hashlib.sha256()
    for path in sorted(_closure(file.resolve(), package)):
        digest.update(f"{path.name}:{sha256(path)}\n".encode())
    return digest.hexdigest()[:16]


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


def _closure(file: Path, package: str) -> set[Path]:
    """The file and, by their import statements, all files of a user's own that it leads to."""
    files, todo = set(), [file]
    while todo:
        path = todo.pop()
        if path in files or path.suffix != ".py" or not path.is_file():
            continue
        files.add(path)
        try:
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        except (SyntaxError, ValueError):  # the loader will say so
            continue
        for node in nodes:
            for name in _imported(node, path):
                todo.extend(_own(name, path, package))
    return files


def _imported(node: ast.AST, path: Path) -> list[str]:
    """The modules that an import statement may mean:
    `from a import b` is a, and a.b if that is a module.
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
    """The file of a module where it is the user's own,
    the `package`'s or one of our methods', else nothing.
    """
    if name.startswith("."):
        level = len(name) - len(name.lstrip("."))
        return _module_file(importer.parents[level - 1], name.lstrip(".").split("."))
    counted = any(
        name == one or name.startswith(f"{one}.") for one in (package, "embedlab.encoders") if one
    )
    if not counted and (name.partition(".")[0] in _PACKAGES or _installed(name)):
        return []
    return module_file(name)


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
