"""What was measured: printed at once, and written as JSON at once."""

import json
from pathlib import Path
from typing import Any


class Figures:
    """The figures of one section, in `out`/SECTION.json."""

    def __init__(self, out: Path, section: str):
        self.out, self.section = out, section
        self.rows: list[dict[str, Any]] = []
        write(self.out, section, self.rows, "unfinished")

    def add(self, name: str, value: Any, unit: str = "", **more: Any) -> None:
        """One figure; `more` goes beside it, shares as numbers between 0 and 1."""
        self.rows.append({"name": name, "value": value, "unit": unit, **more})
        write(self.out, self.section, self.rows, "unfinished")
        print(f"  {name}: {shown(self.rows[-1])}", flush=True)


def write(out: Path, section: str, rows: list[dict[str, Any]], problem: str, **more: Any) -> None:
    content = {"section": section, "problem": problem, **more, "figures": rows}
    (out / f"{section}.json").write_text(json.dumps(content, indent=1, default=str) + "\n")


def read(out: Path, section: str) -> dict[str, Any]:
    file = out / f"{section}.json"
    empty = {"section": section, "problem": "", "figures": []}
    return json.loads(file.read_text()) if file.is_file() else empty


def shown(row: dict[str, Any]) -> str:
    """A figure in words: `25,300 tokens/s (share of the bf16 peak 52%, seconds 4.1)`."""
    beside = [
        f"{name.replace('_', ' ')} {_number(value, name)}"
        for name, value in row.items()
        if name not in ("name", "value", "unit")
    ]
    said = f"{_number(row['value'], row['name'])} {row['unit']}".strip()
    return said + (f" ({', '.join(beside)})" if beside else "")


def table(results: list[dict[str, Any]]) -> str:
    """All sections as one Markdown table."""
    lines = ["| section | measure | value |", "|---|---|---|"]
    for result in results:
        lines += [f"| {result['section']} | {r['name']} | {shown(r)} |" for r in result["figures"]]
        if result["problem"]:
            lines.append(f"| {result['section']} | **problem** | {_last(result['problem'])} |")
    return "\n".join(lines)


def _last(problem: str) -> str:
    return problem.strip().splitlines()[-1][:300]


def _number(value: Any, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if name.startswith("share"):
        return f"{value:.1%}"
    if value and (abs(value) < 0.01 or abs(value) >= 1e12):
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.4g}"
