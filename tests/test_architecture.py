"""The project's rules, kept by reading the code:
which way imports run, who may import what, how long a file may be.
"""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("embedlab", "retrievers", "leaderboard", "app")
MAY_IMPORT = {
    "embedlab": {"embedlab", "retrievers", "leaderboard"},
    "retrievers": {"retrievers"},
    "leaderboard": {"leaderboard"},
    "app": {"app", "retrievers", "leaderboard"},
}
# The subpackages of each package, from the top level down:
# a subpackage imports from levels below it, never from its own or above.
LEVELS = {
    "embedlab": [
        ["cli"],
        ["api"],
        ["studies"],
        ["rag", "serve", "training"],
        ["evaluation"],
        ["cluster"],
        ["index_changes"],
        ["corpus_index"],
        ["chunked_index"],
        ["encoding"],
        ["chunk_options", "documents", "watched_encoder"],
        ["models", "tasks"],
        ["encoders"],
        ["bases"],
        ["servers"],
        ["kept_folders", "progress", "hub", "made_indexes"],
        ["folder_users", "json_cache", "options", "resources", "terminal", "toml_files"],
        ["array_share", "chunks", "cluster_address", "hardware", "option_fields", "spending"],
        ["compat"],
        ["errors"],
    ],
    "retrievers": [
        ["haystack", "langchain", "llama_index"],
        ["integrations"],
        ["pipelines"],
        ["indexes"],
        [
            "base", "copies", "errors", "folder", "index_checks", "index_costs",
            "index_generations", "fixed_encodings", "index_manifest", "metadata_columns", "names",
            "pieces", "registry", "search_types", "texts", "ties", "token_codes", "token_vectors",
            "topk", "where",
        ],
    ],
    "leaderboard": [
        ["charts", "publishing"],
        ["exchange"],
        ["tables"],
        ["statistics"],
        ["storage"],
        ["records"],
        [
            "atomic_files", "errors", "measures", "metric", "plain_json", "plugins", "saying",
            "abstention", "ranking_metrics", "standard_measures", "typed_values",
        ],
    ],
}  # fmt: skip
ENTRY_POINTS = {"embedlab", "embedlab.__main__", "retrievers"}  # they open what is behind them
HEAVY = {
    "torch", "transformers", "sentence_transformers", "mteb", "faiss", "streamlit", "duckdb",
    "pandas", "scipy",
}  # fmt: skip


def files(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


@cache
def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """The dotted names that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
    return found


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package):
    for path in files(package):
        upward = (tops(imports(path)) & set(PACKAGES)) - MAY_IMPORT[package]
        assert not upward, f"{path.relative_to(ROOT)} imports {upward}"


@pytest.mark.parametrize(
    ("library", "allowed", "number"),
    [
        ("faiss", "retrievers", 1),
        ("jnius", "retrievers", 1),
        ("jnius_config", "retrievers", 1),
        ("ray", "embedlab", 4),
        ("duckdb", "leaderboard", None),
        ("streamlit", "app", None),
    ],
)
def test_each_library_has_one_home(library, allowed, number):
    users = [path for path in files(*PACKAGES) if library in tops(imports(path))]
    assert all(path.is_relative_to(ROOT / allowed) for path in users), users
    assert number is None or len(users) <= number, users


def test_commands_import_nothing_heavy_at_the_top():
    for path in files("embedlab/cli"):
        assert not tops(imports(path, top_level_only=True)) & HEAVY, path


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nsys.argv = ['embedlab', '--help']\nfrom embedlab.cli import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', sorted(set(sys.modules) & {HEAVY!r}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert answer.stdout.rstrip().endswith("HEAVY []"), answer.stdout[-300:]


def levels(package: str) -> dict[str, int]:
    return {name: level for level, names in enumerate(LEVELS[package]) for name in names}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imported_modules(path: Path) -> set[str]:
    """The dotted names that a file imports,
    with what `from a import b` takes where that is a module.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {
                name
                for name in names
                if (ROOT / name.replace(".", "/")).with_suffix(".py").is_file()
            }
            modules |= {
                name for name in names if (ROOT / name.replace(".", "/") / "__init__.py").is_file()
            }
            found |= modules or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("package", LEVELS)
def test_every_subpackage_has_its_level(package):
    subpackages = {
        path.stem
        for path in (ROOT / package).iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert subpackages - {"__init__", "__main__"} == set(levels(package))


@pytest.mark.parametrize("package", LEVELS)
def test_subpackages_import_from_lower_levels_only(package):
    level_of = levels(package)
    for path in files(package):
        name = dotted(path)
        if name in ENTRY_POINTS or "." not in name:
            continue
        subpackage = name.split(".")[1]
        for other in imported_modules(path):
            top, _, rest = other.partition(".")
            if top != package or not rest:
                continue
            target = rest.split(".")[0]
            below = level_of.get(target, 99) > level_of[subpackage]
            same_level_of_helpers = target == subpackage or (
                level_of.get(target) == len(LEVELS[package]) - 1 == level_of[subpackage]
            )
            assert below or same_level_of_helpers, f"{name} imports {other}"


def test_no_module_needs_itself():
    """No circles, imports inside functions counted;
    a package's face, which hands names on, is none of them.
    """
    modules = {dotted(path): path for path in files(*PACKAGES)}
    needs = {
        name: {
            other
            for other in imported_modules(path)
            if other in modules and modules[other].name != "__init__.py"
        }
        for name, path in modules.items()
    }
    while free := {name for name, others in needs.items() if not others & needs.keys() - {name}}:
        needs = {name: others for name, others in needs.items() if name not in free}
    assert not needs, {name: sorted(others & needs.keys()) for name, others in needs.items()}


# Private attributes of these are touched in `embedlab/compat` alone.
OTHERS = {
    "mteb",
    "torch",
    "transformers",
    "sentence_transformers",
    "tokenizers",
    "peft",
    "datasets",
    "ray",
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@cache
def private_names(path: Path) -> set[str]:
    """The private attributes that a file reads or sets,
    written out or named in getattr and its kin.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("getattr", "hasattr", "setattr", "delattr")
            and len(node.args) > 1
            and isinstance(node.args[1], ast.Constant)
        ):
            found.add(str(node.args[1].value))
    return {name for name in found if is_private(name)}


@cache
def own_names(path: Path) -> set[str]:
    """The names that a file gives: functions, classes,
    what is assigned to `self`, variables, fields.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def test_private_api_of_others_is_touched_in_compat_alone():
    compat = files("embedlab/compat")
    touched = set().union(*map(private_names, compat))
    ours = set().union(*map(own_names, set(files(*PACKAGES)) - set(compat)))
    ours |= {"_asdict", "_replace", "_fields", "_make"}  # documented methods of named tuples
    for path in sorted(set(files(*PACKAGES)) - set(compat)):
        foreign = {
            name
            for name in private_names(path)
            if name not in ours or name in touched - own_names(path)
        }
        assert not foreign, f"{path.relative_to(ROOT)} touches {foreign}"
        private = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.partition(".")[0] in OTHERS
            for alias in node.names
            if any(map(is_private, [*node.module.split("."), alias.name]))
        } | {
            name
            for name in imports(path)
            if tops({name}) & OTHERS and any(map(is_private, name.split(".")))
        }
        assert not private, f"{path.relative_to(ROOT)} imports {private}"


def test_no_module_name_twice():
    """One word, one thing. Commands and pages share the names of what they show."""
    shims = {
        "embedlab.encoders.decoder",
        "embedlab.encoders.pooling",
        "embedlab.encoders.splade",
    } | {f"retrievers.{name}" for name in ("haystack", "langchain", "llama_index")}
    seen: dict[str, str] = {}
    for path in files(*PACKAGES):
        name = dotted(path)
        if (
            path.stem in ("__init__", "__main__", "errors")
            or name in shims
            or "/cli/" in str(path)
            or "/screens/" in str(path)
        ):
            continue
        assert path.stem not in seen, f"{name} and {seen[path.stem]}"
        seen[path.stem] = name


def test_files_stay_small():
    long = {
        path: lines
        for path in files(*PACKAGES)
        if (lines := path.read_text(encoding="utf-8").count("\n")) > 350
    }
    assert not long
