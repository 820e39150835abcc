"""The code as a picture and a list, from what its files import
and from the levels that the tests enforce.
"""

import importlib.util
from collections import Counter
from functools import cache
from html import escape
from pathlib import Path
from types import ModuleType

from generators.page_tables import code, table

ROOT = Path(__file__).parents[2]
WIDTH, ROW, GAP, TOP = 460, 40, 26, 44
_STYLE = (
    "text{font:13px"
    " sans-serif;fill:#1f2430}.p{fill:#f3f5f9;stroke:#98a2b3}.r{fill:#fff;stroke:#667085}"
    ".t{font-weight:bold;font-size:15px}.w{fill:none;stroke:#3f51b5;stroke-opacity:.28}"
    ".h{fill:none;stroke:#b45309;stroke-width:2}.n{fill:#b45309;font-size:12px}"
)


@cache
def rules() -> ModuleType:
    """tests/test_architecture.py: the levels, and who imports what."""
    spec = importlib.util.spec_from_file_location("rules", ROOT / "tests" / "test_architecture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def levels(package: str) -> list[list[str]]:
    """The subpackages of a package, from the top level down; a package without levels has one."""
    listed = rules().LEVELS.get(package)
    if listed:
        return listed
    return [sorted({_subpackage(path) for path in (ROOT / package).rglob("*.py")} - {package})]


@cache
def arrows() -> Counter[tuple[str, str, str, str]]:
    """(package, subpackage, imported package, imported subpackage) -> number of imports."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for package in rules().PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for other in rules().imported_modules(path):
                top, _, rest = other.partition(".")
                if top in rules().PACKAGES:
                    counts[package, _subpackage(path), top, rest.partition(".")[0] or top] += 1
    return counts


def _subpackage(path: Path) -> str:
    """A file's subpackage: the folder or module below its package;
    the package itself for what opens it.
    """
    package, *parts = path.relative_to(ROOT).with_suffix("").parts
    return package if parts[0] in ("__init__", "__main__") else parts[0]


def picture() -> str:
    """The picture architecture.svg: packages as boxes,
    their subpackages by levels, imports as lines that run downwards.
    """
    places, boxes = _laid_out()
    height = max(y + tall for _, y, _, tall in boxes.values()) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH + 3 * GAP + 60} {height}"'
        ' role="img"><title>Packages, subpackages and'
        f' imports</title><style>{_STYLE}</style><defs><marker id="a" viewBox="0 0 8 8" refX="7"'
        ' refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"'
        ' fill="#b45309"/></marker></defs>'
    ]
    for name, (x, y, wide, tall) in boxes.items():
        parts.append(f'<rect class="p" x="{x}" y="{y}" width="{wide}" height="{tall}" rx="8"/>')
        parts.append(f'<text class="t" x="{x + 12}" y="{y + 24}">{escape(name)}</text>')
    parts += _lines(places)
    for (_, name), (x, y, wide) in places.items():
        parts.append(f'<rect class="r" x="{x}" y="{y}" width="{wide}" height="24" rx="4"/>')
        parts.append(
            f'<text x="{x + wide / 2}" y="{y + 17}" text-anchor="middle">{escape(name)}</text>'
        )
    parts += _between(boxes)
    return "".join(parts) + "</svg>\n"


def _laid_out() -> tuple[dict, dict]:
    """Where subpackages and packages stand: app and embedlab above, what they use below."""
    places: dict[tuple[str, str], tuple[float, float, float]] = {}
    boxes: dict[str, tuple[float, float, float, float]] = {}
    x = {
        "app": GAP,
        "embedlab": GAP + WIDTH + 60,
        "leaderboard": GAP,
        "retrievers": GAP + WIDTH + 60,
    }
    rows = {package: _rows(package) for package in x}
    upper = max(len(rows["app"]), len(rows["embedlab"])) * ROW + TOP
    for package, listed in rows.items():
        y = GAP if package in ("app", "embedlab") else GAP + upper + 2 * GAP
        boxes[package] = (x[package], y, WIDTH, len(listed) * ROW + TOP)
        for number, row in enumerate(listed):
            spare = WIDTH - sum(_wide(subpackage) + 8 for subpackage in row)
            # Lines pass beside what stands above.
            at = x[package] + spare / 2 + min(60, spare / 3) * (number % 3 - 1)
            for subpackage in row:
                places[package, subpackage] = (at, y + TOP + number * ROW - 6, _wide(subpackage))
                at += _wide(subpackage) + 8
    return places, boxes


def _rows(package: str) -> list[list[str]]:
    """Floors, broken where a row would be wider than its box."""
    rows: list[list[str]] = []
    for level in levels(package):
        row: list[str] = []
        for subpackage in level:
            if sum(_wide(each) + 8 for each in [*row, subpackage]) > WIDTH - 16:
                rows.append(row)
                row = []
            row.append(subpackage)
        rows.append(row)
    return rows


def _wide(subpackage: str) -> float:
    return 16 + 7.4 * len(subpackage)


def _lines(places: dict) -> list[str]:
    """Imports within a package, subpackage to subpackage."""
    drawn = []
    for package, subpackage, other, target in sorted(arrows()):
        if (
            package == other
            and subpackage != target
            and {(package, subpackage), (other, target)} <= places.keys()
        ):
            (x, y, wide), (x2, y2, wide2) = places[package, subpackage], places[other, target]
            start, end = x + wide / 2, x2 + wide2 / 2
            middle = (y + 24 + y2) / 2
            drawn.append(
                '<path class="w"'
                f' d="M{start} {y + 24}C{start} {middle} {end} {middle} {end} {y2}"/>'
            )
    return drawn


def _between(boxes: dict) -> list[str]:
    """Imports from package to package, with how many there are."""
    counts: Counter[tuple[str, str]] = Counter()
    for (package, _, other, _), number in arrows().items():
        if package != other:
            counts[package, other] += number
    drawn = []
    for (package, other), number in sorted(counts.items()):
        x, y, wide, tall = boxes[package]
        x2, y2, wide2, _ = boxes[other]
        straight = x == x2
        start = (x + wide / 2) if straight else (x + wide - 40 if x < x2 else x + 40)
        end = (x2 + wide2 / 2) if straight else (x2 + 40 if x < x2 else x2 + wide2 - 40)
        drawn.append(
            f'<path class="h" marker-end="url(#a)" d="M{start} {y + tall}L{end} {y2 - 1}"/>'
        )
        # A third of the way down, where lines that cross have not met yet.
        at, down = start + (end - start) / 3, y + tall + (y2 - y - tall) / 3
        drawn.append(f'<text class="n" x="{at + 6}" y="{down + 4}">{number}</text>')
    return drawn


def page() -> str:
    """The page reference/levels.md: levels from the top down,
    and how many imports run between packages.
    """
    parts = [
        "# Subpackages and levels\n\n"
        "From `LEVELS` in `tests/test_architecture.py`, which fails where a"
        " file imports from its own level or one above. The lowest level of each package holds"
        " helpers that may use each other.\n"
    ]
    for package in rules().PACKAGES:
        rows = [
            [number, ", ".join(map(code, level))] for number, level in enumerate(levels(package), 1)
        ]
        parts += [f"## {package}", table(["level", "subpackages"], rows)]
    return "\n\n".join(parts)
