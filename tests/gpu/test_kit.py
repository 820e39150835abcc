"""The kit of `make bench-gpu` on the CPU in small, so that it runs when it meets a GPU."""

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.gpu.__main__ import ALL, LIMITS
from tests.bench.gpu.wheels import cut

ROOT = Path(__file__).parents[2]


def kit(out, *options):
    command = [sys.executable, "-m", "tests.bench.gpu", "--tiny", "--out", out, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done, {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}


def test_figures_are_printed_and_kept_section_by_section(tmp_path):
    done, kept = kit(tmp_path, "--sections", "machine,search,scifact")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(kept) and all(section["problem"] == "" for section in kept.values())
    machine, search = (
        {f["name"]: f for f in kept[name]["figures"]} for name in ("machine", "search")
    )
    assert machine["matrix peak, bfloat16"]["value"] > 0 and machine["memory, reading"]["value"] > 0
    found = [f for name, f in search.items() if name.endswith("finds what it holds")]
    assert found and all(figure["value"] is True for figure in found)
    assert kept["scifact"]["figures"][0]["name"] == "skipped"
    assert "| machine | matrix peak, bfloat16 |" in done.stdout


def test_a_section_that_takes_too_long_ends_alone(tmp_path):
    done, kept = kit(tmp_path, "--sections", "search,machine", "--patience", "0.045")
    assert done.returncode == 1 and "stopped after" in kept["search"]["problem"]
    assert set(kept) == {"search", "machine"}


def test_all_sections_fit_eight_minutes_each_at_its_limit():
    assert sum(LIMITS.values()) - LIMITS["scifact"] <= ALL <= 8 * 60


def test_wheels_are_shared_out_and_large_ones_cut(tmp_path):
    sizes = {"a": 70, "b": 50, "c": 30, "d": 10}
    (tmp_path / "from").mkdir()
    wheels = [tmp_path / "from" / f"{name}.whl" for name in sizes]
    for wheel, size in zip(wheels, sizes.values(), strict=True):
        wheel.write_bytes(wheel.name[:1].encode() * size)
    pieces = cut(wheels, 60, tmp_path / "out")
    held = sorted(path for piece in pieces for path in piece.iterdir())
    assert all(sum(p.stat().st_size for p in piece.iterdir()) <= 60 for piece in pieces)
    joined: dict[str, bytes] = {}
    for path in sorted(held, key=lambda path: path.name):
        name = path.name.partition(".PART")[0]
        joined[name] = joined.get(name, b"") + path.read_bytes()
    assert joined == {wheel.name: wheel.read_bytes() for wheel in wheels}
