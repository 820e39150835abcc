"""The house's rules, kept by reading the code: which way imports run, who may import what, how long a file may be."""

import ast
import subprocess
import sys
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
HEAVY = {"torch", "transformers", "sentence_transformers", "mteb", "faiss", "streamlit", "duckdb", "pandas", "scipy"}


def files(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


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
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout.rstrip().endswith("HEAVY []"), answer.stdout[-300:]


def test_files_stay_small():
    long = {path: lines for path in files(*PACKAGES) if (lines := path.read_text(encoding="utf-8").count("\n")) > 500}
    assert not long
