"""Installed packages: the example, as pip installs it, and made-up ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from leaderboard import measures
from retrievers import registry

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


def forget() -> None:
    """What was read of the packages that are installed is read again."""
    for kept in (registry.families, registry._installed, measures._loaded, measures._typed):
        kept.cache_clear()


@pytest.fixture(scope="session")
def example_package(tmp_path_factory) -> Path:
    """A folder into which pip has built and installed examples/plugin."""
    target = tmp_path_factory.mktemp("site")
    pip = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
        "--no-index",
    ]  # fmt: skip
    subprocess.run(
        [*pip, "--target", target, EXAMPLE], check=True, capture_output=True, timeout=120
    )
    return target


@pytest.fixture(scope="session")
def new_home(tmp_path_factory):
    """A function that makes an EMBEDLAB_HOME; all share the texts of the built-in benchmark."""
    texts = tmp_path_factory.mktemp("stdlib")

    def make() -> Path:
        home = tmp_path_factory.mktemp("home")
        (home / "stdlib").symlink_to(texts)
        return home

    return make


@pytest.fixture
def installed(monkeypatch):
    """A function that makes the packages of a folder those of this process."""
    folders = []

    def use(folder: Path) -> None:
        folders.append(str(folder))
        monkeypatch.syspath_prepend(str(folder))
        forget()

    yield use
    monkeypatch.undo()
    forget()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(tuple(folders)):
            del sys.modules[name]


@pytest.fixture
def package(tmp_path, installed):
    """A function that writes a package, with modules and entry points, and installs it."""

    def write(name: str, modules: dict[str, str], **groups: dict[str, str]) -> Path:
        site = tmp_path / "site"
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        for module, text in modules.items():
            (site / f"{module}.py").write_text(text)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [
            line
            for group, points in groups.items()
            for line in (
                f"[embedlab.{group}]",
                *(f"{point} = {target}" for point, target in points.items()),
            )
        ]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        installed(site)
        return site

    return write
