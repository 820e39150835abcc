"""A study as a TOML file: what is compared with what, on which tasks.

title = "..."
question = "..."
tasks = ["StdlibMiniCodeSearch", "path/to/beir-folder"]
seeds = [1, 2, 3]

[[trainings]]                # embedlab train, once for each seed
name = "last"
recipe = "base-last"         # a shipped recipe's name, or the path of one
role = "control"
base = "smollm2-135m"        # these four replace what the recipe says
steps = 200                  # of its last stage; of the earlier ones in proportion
set = { "settings.max_length" = 128, "stages.0.batch_size" = 32 }
grid = { "settings.attention" = ["causal", "bidirectional"] }      # one training for each

[[models]]                   # what needs no training
model = "bm25"
role = "baseline"

[[views]]
of = ["last"]
dims = [32, 64]

[curve]                      # score against steps, of the last stage of each training
every = 50
tasks = ["StdlibMiniCodeSearch"]

[[comparisons]]
name = "Trained or not"
first = ["trained"]
second = ["twin"]            # the same model before its first step
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from pathlib import Path
from typing import Any

from embedlab import toml_files
from embedlab.errors import UserError, unknown
from embedlab.options import GROUPS
from embedlab.resources import DATA
from leaderboard.statistics.significance import CORRECTIONS, TESTS

STUDIES = DATA / "studies"
ROLES = ("", "control", "baseline")
WORDS = ("trained", "controls", "baselines", "twin")  # stand for members in comparisons
_OF_VIEWS = ("layers", "dims", "precisions", "diagonal")  # these belong to [[views]]
NO_OPTIONS = (*_OF_VIEWS, "array")


@dataclass(frozen=True)
class Training:
    """A recipe with what is changed in it; `grid` makes several of one."""

    name: str
    recipe: str
    role: str = ""
    base: str = ""
    steps: int = 0
    seeds: list[int] = field(default_factory=list)
    twin: bool = True  # evaluate it before its first step too
    set: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """A model that is there: a name as `embedlab eval --model` takes it."""

    model: str
    name: str = ""
    role: str = "baseline"


@dataclass(frozen=True)
class Seen:
    """Views of some members beside the full one; `of` without names means all that are trained."""

    of: list[str] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)
    dims: list[int] = field(default_factory=list)
    precisions: list[str] = field(default_factory=lambda: ["float32"])
    diagonal: bool = False  # the pairs of layer and dimensions that each method was trained for


@dataclass(frozen=True)
class Curve:
    """Trainings that are evaluated at every so many steps of their last stage."""

    every: int
    tasks: list[str]  # of the study's
    of: list[str] = field(default_factory=list)  # by default all that are trained, controls too


@dataclass(frozen=True)
class Planned:
    """A family of comparisons: each of `first` with each of `second`, corrected together.

    Both name trainings (all of a grid), members or models, or "trained", "controls", "baselines";
    "twin" is each one's own untrained twin.
    """

    name: str
    first: list[str]
    second: list[str]
    tasks: list[str] = field(default_factory=list)  # by default all of the study
    correction: str = "holm"
    level: float = 0.95
    test: str = "randomisation"


@dataclass(frozen=True)
class Study:
    """A study as it was written."""

    name: str
    title: str
    question: str
    tasks: list[str]
    trainings: list[Training] = field(default_factory=list)
    models: list[Given] = field(default_factory=list)
    views: list[Seen] = field(default_factory=list)
    comparisons: list[Planned] = field(default_factory=list)
    curve: Curve | None = None
    seeds: list[int] = field(default_factory=lambda: [1])
    base: str = ""  # of every training that names none
    steps: int = 0
    set: dict[str, Any] = field(default_factory=dict)  # in every recipe
    # Of every trained model and twin when it is evaluated, as behind a model's name.
    settings: dict[str, Any] = field(default_factory=dict)
    metric: str = "main"
    budget: str = ""  # what it takes, for people
    notes: str = ""  # what a reader of the report has to know
    options: dict[str, Any] = field(default_factory=dict)  # of `embedlab.evaluate`


def read(path: Path) -> tuple[Study, Path]:
    """The study in a TOML file, and where that lies.

    Args:
        path: the file; a bare name is looked up among the shipped studies.

    Raises:
        UserError: there is no such file, or it is no study: what is wrong is named, with its line.
    """
    shipped = STUDIES / f"{path.name.removesuffix('.toml')}.toml"
    if not path.is_file() and path.parent == Path() and shipped.is_file():
        path = shipped
    if not path.is_file():
        names = sorted(each.stem for each in STUDIES.glob("*.toml"))
        raise unknown(
            "study",
            str(path),
            names,
            f"Shipped: {', '.join(names)}. Or give the path of a TOML file.",
        )
    hint = f"Compare it with {STUDIES}."
    study = toml_files.read_as(Study, path, "study", hint=hint, given={"name": path.stem})
    for problem, hint in _problems(study):
        raise UserError(f"{path}: {problem}", hint)
    return study, path


def here(study: Study, tasks: Sequence[str], data_dir: Path | None) -> Study:
    """The study with what only this machine has: further tasks, and a mirror of MTEB's data."""
    options = study.options | ({"data_dir": str(data_dir)} if data_dir else {})
    return replace(study, tasks=list(dict.fromkeys([*study.tasks, *tasks])), options=options)


def _problems(study: Study) -> "list[tuple[str, str]]":
    """What no type tells: each with what to do about it."""
    found = []
    if not study.tasks or not (study.trainings or study.models):
        found.append(
            (
                "a study needs tasks, and trainings or models.",
                'Add: tasks = ["StdlibMiniCodeSearch"]',
            )
        )
    names = [each.name for each in study.trainings] + [
        each.name or each.model for each in study.models
    ]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        found.append((f"two members are named {twice[0]!r}.", "Name every one once."))
    if words := sorted(set(WORDS) & set(names)):
        found.append((f"{words[0]!r} stands for members already.", "Choose another name."))
    for each in study.trainings:
        if not each.name or set(each.name) & set("/\\ \t\n"):
            found.append(
                (f"{each.name!r} is to be the name of a folder.", "Leave out blanks and slashes.")
            )
    roles = [each.role for each in study.trainings] + [each.role for each in study.models]
    for role in sorted(set(roles) - set(ROLES)):
        found.append((f"unknown role {role!r}.", "Valid: control, baseline, or none."))
    known = {each.name: group for group in GROUPS.values() for each in fields(group)}.keys() - {
        *NO_OPTIONS
    }
    for key in study.options:
        if key not in known:
            elsewhere = "It belongs to [[views]]. " if key in _OF_VIEWS else ""
            found.append(
                (
                    f"unknown key {key!r} in [options].",
                    f"{elsewhere}Valid: {', '.join(sorted(known))}.",
                )
            )
    for numbers in (study.seeds, *(each.seeds for each in study.trainings)):
        if len(set(numbers)) < len(numbers) or any(seed < 0 for seed in numbers):
            found.append((f"seeds = {numbers}.", "Give each seed once, from 0."))
    if not study.seeds:
        found.append(("there are no seeds.", "Add: seeds = [1]"))
    if study.curve and (study.curve.every < 1 or not study.curve.tasks):
        found.append(
            ("[curve] needs every, 1 or more, and tasks.", "Write: every = 50, tasks = [...]")
        )
    for planned in study.comparisons:
        found += _problems_of(planned)
    return found


def _problems_of(planned: Planned) -> "list[tuple[str, str]]":
    where = f"the comparison {planned.name!r}"
    found = []
    if not planned.first or not planned.second:
        found.append((f"{where} has an empty side.", "Name members in first and second."))
    if "twin" in planned.first:
        found.append((f"{where} has twins first.", "Put them second."))
    if planned.correction not in CORRECTIONS:
        found.append((f"{where}: correction = {planned.correction!r}.", "Valid: holm, bh, none."))
    if planned.test not in TESTS:
        found.append((f"{where}: test = {planned.test!r}.", f"Valid: {', '.join(TESTS)}."))
    if not (isfinite(planned.level) and 0.5 <= planned.level <= 0.999):
        found.append((f"{where}: level = {planned.level}.", "Valid: 0.5 to 0.999."))
    return found
