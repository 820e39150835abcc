"""Wheels of what embedlab needs on a machine without a network, in folders of limited size.

    python tests/bench/gpu/wheels.py --out wheels --python 3.12 --piece-size 60M
    pip install --no-index --find-links wheels/1 --find-links wheels/2 ... embedlab[train]

The versions are those of constraints.txt, torch and what comes with it left out (a GPU machine has
a build of its own). A wheel that is larger than a piece is cut into PART files; `cat` joins them.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
THERE = ("torch", "triton", "nvidia-", "cuda-")  # names, or how they begin
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--python", default="3.12", help="of the machine without a network")
    parser.add_argument("--platform", default="manylinux_2_28_x86_64")
    parser.add_argument("--piece-size", default="0", help="60M; 0 makes one folder of all")
    parser.add_argument("--extras", default="train", help="of embedlab, comma-separated")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        wheels = gather(Path(scratch), asked.python, asked.platform, asked.extras)
        pieces = cut(wheels, _bytes(asked.piece_size), asked.out)
    print(f"{len(wheels)} wheels in {len(pieces)} folders below {asked.out}")


def gather(folder: Path, python: str, platform: str, extras: str) -> list[Path]:
    """Download the wheels of embedlab, of its extras and of pytest, and build its own."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    constraints = folder / "constraints.txt"
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints.write_text("\n".join(line for line in lines if not line.startswith(THERE)))
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, ROOT], check=True)
    (own,) = folder.glob("embedlab-*.whl")
    wanted = [f"{own}[{extras}]", "pytest", "pytest-timeout"]
    platforms = [platform, "manylinux_2_17_x86_64", "manylinux2014_x86_64"]
    subprocess.run(
        [*pip, "download", "-d", folder, "--only-binary=:all:", "--python-version", python,
         *(f"--platform={each}" for each in platforms), "-c", constraints, *wanted],
        check=True,
    )  # fmt: skip
    return [wheel for wheel in sorted(folder.glob("*.whl")) if not _is_there(wheel)]


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


def _is_there(wheel: Path) -> bool:
    name = wheel.name.partition("-")[0].replace("_", "-").lower()
    return any(name == each or (each.endswith("-") and name.startswith(each)) for each in THERE)


def _bytes(size: str) -> int:
    if not (found := re.fullmatch(r"(\d+)([KMG]?)", size)):
        raise SystemExit(f"{size!r} is no size. Type --piece-size 60M.")
    return int(found[1]) * UNITS.get(found[2], 1)


if __name__ == "__main__":
    main()
