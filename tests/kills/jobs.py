"""Every command that writes: what is there before it, what it is, and what it makes. Each function
runs in a fork.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from killing import command

WORDS = [f"w{n}" for n in range(200)]


@dataclass(frozen=True)
class Job:
    """words: the command line, run in the folder `work`; or a function. before: prepares the
    folder. kept: what has to be there before and after, as a value. made: what the command makes.
    imports: modules to import once.

    native: much of what it writes, Python does not write itself. replaces: `kept` may be what was
    made.
    once: done twice it is refused.
    """

    words: tuple[str, ...] | Callable[[Path], None]
    before: Callable[[Path], None]
    kept: Callable[[Path], object]
    made: Callable[[Path], object]
    imports: tuple[str, ...] = ()
    native: bool = False
    replaced: Callable[[object], object] | None = None
    once: bool = False
    final: Callable[[Path], dict] = lambda work: {}  # the files that it makes, by their final names

    def run(self, work: Path) -> None:
        """What is killed."""
        if callable(self.words):
            self.words(work)
        else:
            command(*self.words)

    @property
    def replaces(self) -> bool:
        return self.replaced is not None


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


def trec(place: Path, number: int) -> tuple[str, ...]:
    """A TREC run, and the command line that imports it."""
    place.mkdir(exist_ok=True)
    ranked = (
        f"q{n} Q0 c{(n + m * number) % 60} {m} {9 - m} t\n" for n in range(8) for m in range(1, 6)
    )
    (place / f"run{number}").write_text("".join(ranked))
    (place / "qrels").write_text("".join(f"q{n} 0 c{n} 1\n" for n in range(8)))
    typed = ("--qrels", f"{place.name}/qrels", "--task", "T", "--model", f"m{number}")
    return "import", f"{place.name}/run{number}", *typed


def runs(work: Path, db: str = "home/results.duckdb") -> dict:
    """What a store holds, by model and task: how many different runs, and a digest of their scores
    and rankings.
    """
    from leaderboard.storage.store import Store

    store, found = Store(work / db), {}
    for row in store.runs().to_pylist():
        run = store.run(row["id"])
        ranking = store.ranking(row["id"])
        ranked = None if ranking is None else [
            (query, [ranking.document_ids[r] for r in rows if r >= 0])
            for query, rows in zip(ranking.query_ids, ranking.rows.tolist(), strict=True)
        ]  # fmt: skip
        found.setdefault(f"{run.model.name} {run.task.name}", []).append(
            [sorted(run.scores.items()), ranked]
        )
    return {
        name: sorted({digest(value) for value in values}) for name, values in sorted(found.items())
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


def found(work: Path) -> list | None:
    """What the index at `index` answers; None where there is none."""
    if not (work / "index").exists():
        return None
    return json.loads(command("search", "index", " ".join(WORDS[:9]), "--json"))["results"]


def no_other_names(work: Path, *names: str) -> list[str]:
    """What lies in the working folder beside what is meant to."""
    return sorted(path.name for path in work.iterdir() if path.name not in ("home", *names))


# index


def _two_corpora(work: Path) -> None:
    folder(work / "one")
    folder(work / "two", seed=1)


def _an_index(model: str) -> Callable[[Path], None]:
    def before(work: Path) -> None:
        _two_corpora(work)
        command("index", "--model", model, "--corpus", "one", "--out", "index")

    return before


def index(model: str, *imports: str, native: bool = False) -> Job:
    def made(work: Path) -> object:
        return found(work), no_other_names(work), len(list((work / "index").iterdir()))

    words = ("index", "--model", model, "--corpus", "two", "--out", "index")
    return Job(words, _an_index(model), found, made, imports, native, replaced=lambda made: made[0])


# stores


def _one_run(work: Path) -> None:
    command(*trec(work / "trec", 1))
    trec(work / "trec", 2)


def _kept_run(work: Path) -> object:
    return runs(work).get("m1 T")


def _mteb_results(work: Path) -> None:
    _one_run(work)
    for model in range(3):
        place = work / f"results/a__m{model}/r1"
        place.mkdir(parents=True)
        for task in ("SciFact", "NFCorpus", "ArguAna"):
            scores = {
                "test": [
                    {"hf_subset": "default", "languages": ["eng-Latn"], "main_score": 0.1 * model}
                ]
            }
            (place / f"{task}.json").write_text(
                json.dumps({"task_name": task, "scores": scores, "mteb_version": "2"})
            )


def _another_store(work: Path) -> None:
    _one_run(work)
    command(*trec(work / "trec", 2), "--db", "other.duckdb")
    command(*trec(work / "trec", 3), "--db", "other.duckdb")


def _two_runs(work: Path) -> None:
    _one_run(work)
    command(*trec(work / "trec", 2))


def _two_runs_and_an_id(work: Path) -> None:
    from leaderboard.storage.store import Store

    _two_runs(work)
    (run,) = Store(work / "home/results.duckdb").runs(model=["m2"]).to_pylist()
    (work / "id").write_text(run["id"])


def _remove(work: Path) -> None:
    command("runs", "rm", (work / "id").read_text())


# export


def _exported(work: Path) -> object:
    return files(work / "out") if (work / "out").exists() else {}


def _under_final_names(work: Path) -> dict[str, str]:
    return files(work / "out", ".part")


# eval, rag, cache


def _folder_and_run(work: Path) -> None:
    _one_run(work)
    folder(work / "corner")


def _eval(work: Path, model: str) -> None:
    command("eval", "--model", model, "--task", "corner", "--index", "torch", "--device", "cpu")


def _evaluated(model: str) -> Callable[[Path], None]:
    def before(work: Path) -> None:
        _folder_and_run(work)
        _eval(work, model)
        space = min((work / "home/vectors").iterdir())
        for number in range(6):
            (space / f"{number:032x}.dense.npy").write_bytes(b"left behind")

    return before


def _scores(model: str) -> Callable[[Path], object]:
    def scores(work: Path) -> object:
        _eval(work, model)
        return runs(work)

    return scores


def _questions(work: Path) -> None:
    _folder_and_run(work)
    rows = ({"id": str(n), "question": f"w{n} w{n + 1}", "relevant": [f"c{n}"]} for n in range(6))
    (work / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


# train


RECIPE = """
method = "gem"
base = "{base}"
seed = 7
dtype = "float32"
[settings]
tokens = 2
max_length = 32
[data]
path = "pairs.jsonl"
""" + """
[[stages]]
objective = "contrastive"
steps = 6
batch_size = 4
save_steps = 2
learning_rate = 1e-3
precision = "float32"
""" * 2  # fmt: skip


def _recipe(base: str) -> Callable[[Path], None]:
    def before(work: Path) -> None:
        _one_run(work)
        rows = (
            {"query": f"w{n} w{n + 1}", "positive": f"w{n} w{n + 2} w{n + 3}"} for n in range(16)
        )
        (work / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (work / "tiny.toml").write_text(RECIPE.format(base=base))

    return before


def _trained(work: Path) -> object:
    return files(work / "model", "training.json"), no_other_names(work)


def _model_files(work: Path) -> dict[str, str]:
    return files(work / "model", "training.json", "unfinished")


def _write_benchmarks(work: Path) -> None:
    from embedlab.cli.dashboard import write_benchmarks

    write_benchmarks(work / "home/benchmarks.json")


def _benchmarks(work: Path) -> object:
    return files(work / "home", "results", "lock", ".part")


def jobs(model: str, base: str) -> dict[str, Job]:
    """All of them: `model` is a small model's folder, `base` a small decoder's."""
    torch = (
        "torch",
        "sentence_transformers",
        "embedlab.models",
        "embedlab.encoders.plain",
        "faiss",
    )
    lab = (
        *torch,
        "mteb",
        "datasets",
        "duckdb",
        "pyarrow.parquet",
        "embedlab.evaluation.run",
        "embedlab.rag.experiment",
    )
    store = ("duckdb", "pyarrow.parquet", "leaderboard.storage.store", "embedlab.evaluation.trec")
    evaluation = (
        "eval",
        "--model",
        model,
        "--task",
        "corner",
        "--index",
        "torch",
        "--device",
        "cpu",
    )
    rag = (
        "rag",
        "--retriever",
        model,
        "--corpus",
        "corner",
        "--questions",
        "q.jsonl",
        "-k",
        "3",
        "--device",
        "cpu",
    )
    train = ("train", "tiny.toml", "--out", "model", "--device", "cpu")
    return {
        "index": index(model, *torch),
        "index bm25": index("bm25", native=True),
        "import trec": Job(_typed(2), _one_run, _kept_run, runs, store, native=True),
        "import mteb": Job(
            ("import", "results"), _mteb_results, _kept_run, runs, (*store, "mteb"), native=True
        ),
        "merge": Job(
            ("merge", "other.duckdb"), _another_store, _kept_run, runs, store, native=True
        ),
        "runs rm": Job(
            _remove, _two_runs_and_an_id, _kept_run, runs, store, native=True, once=True
        ),
        "export parquet": Job(
            ("export", "out"), _two_runs, runs, _exported, store, final=_under_final_names
        ),
        "export trec": Job(
            ("export", "out", "--format", "trec"),
            _two_runs,
            runs,
            _exported,
            store,
            final=_under_final_names,
        ),
        "eval": Job(evaluation, _folder_and_run, _kept_run, runs, lab, native=True),
        "rag": Job(rag, _questions, _kept_run, runs, lab, native=True),
        "export csv": Job(
            ("export", "out", "--format", "csv"),
            _two_runs,
            runs,
            _exported,
            store,
            final=_under_final_names,
        ),
        "export mteb": Job(
            ("export", "out", "--format", "mteb"),
            _two_runs,
            runs,
            _exported,
            store,
            final=_under_final_names,
        ),
        "cache prune --model": Job(
            ("cache", "prune", "--model", "tiny"),
            _evaluated(model),
            _scores(model),
            _scores(model),
            lab,
            once=True,
        ),
        "cache prune": Job(
            ("cache", "prune"), _evaluated(model), _scores(model), _scores(model), lab
        ),
        "dashboard": Job(_write_benchmarks, _one_run, _kept_run, _benchmarks, lab),
        "train": Job(
            train,
            _recipe(base),
            _kept_run,
            _trained,
            (*torch, "datasets", "accelerate"),
            native=True,
            final=_model_files,
        ),
        "train untrained": Job(
            (*train, "--untrained"),
            _recipe(base),
            _kept_run,
            _trained,
            torch,
            native=True,
            once=True,
            final=_model_files,
        ),
    }


def _typed(number: int) -> tuple[str, ...]:
    return (
        "import",
        f"trec/run{number}",
        "--qrels",
        "trec/qrels",
        "--task",
        "T",
        "--model",
        f"m{number}",
    )
