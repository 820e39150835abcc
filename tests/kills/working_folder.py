"""What lies in a working folder: inputs of commands, and the content of what they write."""

import hashlib
import json
from pathlib import Path

import numpy as np
from killing import command

WORDS = [f"w{n}" for n in range(200)]


def folder(place: Path, seed: int = 0, count: int = 60) -> None:
    """A BEIR folder."""
    random = np.random.default_rng(seed)
    (place / "qrels").mkdir(parents=True)
    texts = [" ".join(random.choice(WORDS, 12)) for _ in range(count)]
    rows = {"corpus": texts, "queries": [" ".join(text.split()[:5]) for text in texts[:8]]}
    for name, lines in rows.items():
        content = "".join(
            json.dumps({"_id": f"{name[0]}{n}", "text": text}) + "\n"
            for n, text in enumerate(lines)
        )
        (place / f"{name}.jsonl").write_text(content)
    judged = "".join(f"q{n}\tc{n}\t1\n" for n in range(8))
    (place / "qrels/test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")


def trec(work: Path, number: int) -> tuple[str, ...]:
    """A TREC run, and the command line that imports it."""
    place = work / "trec"
    place.mkdir(exist_ok=True)
    ranked = (
        f"q{n} Q0 c{(n + m * number) % 60} {m} {9 - m} t\n" for n in range(8) for m in range(1, 6)
    )
    (place / f"run{number}").write_text("".join(ranked))
    (place / "qrels").write_text("".join(f"q{n} 0 c{n} 1\n" for n in range(8)))
    return imported(number)


def imported(number: int) -> tuple[str, ...]:
    """The command line that imports the TREC run of that number."""
    return (
        "import", f"trec/run{number}", "--qrels", "trec/qrels", "--task", "T",
        "--model", f"m{number}",
    )  # fmt: skip


def runs(work: Path, db: str = "home/results.duckdb") -> dict:
    """What a store holds, by model and task: how many different runs,
    and a digest of their scores and rankings.
    """
    from leaderboard.storage.store import Store

    store, content = Store(work / db), {}
    for row in store.runs().to_pylist():
        run = store.run(row["id"])
        ranking = store.ranking(row["id"])
        ranked = None if ranking is None else [
            (query, [ranking.document_ids[r] for r in rows if r >= 0])
            for query, rows in zip(ranking.query_ids, ranking.rows.tolist(), strict=True)
        ]  # fmt: skip
        content.setdefault(f"{run.model.name} {run.task.name}", []).append(
            [sorted(run.scores.items()), ranked]
        )
    return {
        name: sorted({digest(value) for value in values})
        for name, values in sorted(content.items())
    }


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()[:12]


def files(place: Path, *leave_out: str) -> dict[str, str]:
    """The files below a folder by their content."""
    return {
        file.relative_to(place).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        for file in sorted(place.rglob("*"))
        if file.is_file()
        and not any(part in file.relative_to(place).as_posix() for part in leave_out)
    }


def index_results(work: Path) -> list | None:
    """What the index at `index` answers; None where there is none."""
    if not (work / "index").exists():
        return None
    return json.loads(command("search", "index", " ".join(WORDS[:9]), "--json"))["results"]


def no_other_names(work: Path, *names: str) -> list[str]:
    """What lies in the working folder beside what is meant to."""
    return sorted(path.name for path in work.iterdir() if path.name not in ("home", *names))
