"""Wheels of what embedlab needs on a machine without a network, in folders of limited size.

    python3.12 tests/bench/gpu/wheels.py --out wheels --python 3.12 --piece-size 60M
    pip install --no-index --find-links wheels --find-links wheels/1 ... embedlab[train]

The versions are those of constraints.txt, torch and what comes with it left out (a GPU machine has
a build of its own). A wheel that is larger than a piece is cut into PART files; how to join them
is said at the end.
Run it by the Python that it is for: by that, pip decides which packages a Python needs.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[3]
PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(28, 16, -1)),
    "manylinux2014_x86_64",
)
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--python", default="3.12", help="of the machine without a network")
    parser.add_argument("--piece-size", default="0", help="60M; 0 makes one folder of all")
    parser.add_argument("--extras", default="train", help="of embedlab, comma-separated")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        wheels = gather(Path(scratch), asked.python, asked.extras)
        pieces = cut(wheels, _bytes(asked.piece_size), asked.out)
    print(f"{len(wheels)} wheels in {len(pieces)} folders below {asked.out}")
    parts = sorted(part.name for piece in pieces for part in piece.glob("*.PART*"))
    for name, own in groupby(parts, lambda part: part.partition(".PART")[0]):
        print(f"Join: cat {' '.join(f'{asked.out}/*/{part}' for part in own)} > {asked.out}/{name}")


def gather(folder: Path, python: str, extras: str) -> list[Path]:
    """The wheels of embedlab, built here, of its extras and of pytest, downloaded."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (torch,) = (pin.partition("==")[2] for pin in pins if pin.startswith("torch=="))
    stub = _stub(folder / "stub", "torch", torch + "+there")
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(f"{p}+there" if p == f"torch=={torch}" else p for p in pins))
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, ROOT], check=True)
    (own,) = folder.glob("embedlab-*.whl")
    subprocess.run(
        [*pip, "download", "-d", folder, "--find-links", stub.parent, "--only-binary=:all:",
         "--python-version", python, *(f"--platform={each}" for each in PLATFORMS),
         "-c", constraints, f"{own}[{extras}]", "pytest", "pytest-timeout"],
        check=True,
    )  # fmt: skip
    return sorted(wheel for wheel in folder.glob("*.whl") if wheel.name != stub.name)


def _stub(folder: Path, name: str, version: str) -> Path:
    """A wheel with nothing in it: what is there already need not be downloaded, gigabytes."""
    folder.mkdir()
    wheel, inside = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        described = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        archive.writestr(f"{inside}/METADATA", described)
        archive.writestr(f"{inside}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{inside}/RECORD", "")
    return wheel


def cut(wheels: list[Path], most: int, out: Path) -> list[Path]:
    """Share out the wheels over folders 1, 2, ... of at most `most` bytes, the largest first."""
    folders: list[tuple[Path, int]] = []
    for wheel in sorted(wheels, key=lambda path: -path.stat().st_size):
        for part in _parts(wheel, most):
            size = part.stat().st_size
            place = next((n for n, (_, full) in enumerate(folders) if full + size <= most), None)
            if place is None or not most:
                place = 0 if folders and not most else len(folders)
            if place == len(folders):
                folders.append((out / str(place + 1), 0))
                folders[place][0].mkdir(parents=True, exist_ok=True)
            folder, full = folders[place]
            folders[place] = folder, full + size
            shutil.copy2(part, folder)
    return [folder for folder, _ in folders]


def _parts(wheel: Path, most: int) -> list[Path]:
    if not most or wheel.stat().st_size <= most:
        return [wheel]
    content = wheel.read_bytes()
    parts = []
    for number, start in enumerate(range(0, len(content), most), 1):
        parts.append(wheel.with_name(f"{wheel.name}.PART{number:02}"))
        parts[-1].write_bytes(content[start : start + most])
    return parts


def _bytes(size: str) -> int:
    if not (found := re.fullmatch(r"(\d+)([KMG]?)", size)):
        raise SystemExit(f"{size!r} is no size. Type --piece-size 60M.")
    return int(found[1]) * UNITS.get(found[2], 1)


if __name__ == "__main__":
    main()
