"""The project's papers say what is so:
files that CONTRIBUTING.md names exist, versions agree, the licence is whole.
"""

import re
import tomllib
from pathlib import Path

import pytest

import embedlab

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What the reader is to make.
INVENTED = ("my_method", "my_index", "my_page", "my-model", "my-benchmark", "path/to")


def paths(file: str) -> list[str]:
    """What a document names in code style that looks like a file or folder of this repository."""
    tops = {path.name for path in ROOT.iterdir()}
    named = re.findall(r"`([\w./-]+)`", (ROOT / file).read_text(encoding="utf-8"))
    return [name for name in dict.fromkeys(named) if "/" in name and name.split("/")[0] in tops]


@pytest.mark.parametrize("name", paths("CONTRIBUTING.md"))
def test_what_is_named_is_there(name):
    made = any(part in name for part in INVENTED)
    assert (ROOT / name).parent.is_dir() if made else (ROOT / name).exists()


def test_contributing_names_enough_to_be_checked():
    assert len(paths("CONTRIBUTING.md")) > 30


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("embedlab/encoders/methods.py", "METHODS"),
        ("retrievers/registry.py", "FAMILIES"),
        ("retrievers/registry.py", "SPECS"),
        ("leaderboard/ranking_metrics.py", "METRICS"),
        ("leaderboard/metric.py", "class Metric"),
        ("app/main.py", "PAGES"),
        ("embedlab/models/cards.py", "class Card"),
        ("embedlab/evaluation/run_record.py", "def shaping"),
        ("embedlab/encoding/encoder.py", "def ingredients"),
    ],
)
def test_what_contributing_says_to_change_has_that_name(file, name):
    assert name in (ROOT / file).read_text(encoding="utf-8")


def test_one_version_and_one_licence():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert (
        f"\nversion: {PROJECT['version']}\n" in citation
        and embedlab.__version__ == PROJECT["version"]
    )
    assert f"\nlicense: {PROJECT['license']}\n" in citation
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert (
        "Apache License\n" in licence
        and "9. Accepting Warranty" in licence
        and "APPENDIX: How to apply" in licence
    )
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ["embedlab", "retrievers", "leaderboard"])
def test_types_come_along(package):
    assert (ROOT / package / "py.typed").is_file()
