"""Every command that writes: what is there before it, what it is, and what it makes. Each function
runs in a fork.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from killing import command
from working_folder import (
    digest,
    files,
    folder,
    imported,
    index_results,
    no_other_names,
    runs,
    trec,
)

from tests.gem_recipe import HEAD


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
        return index_results(work), no_other_names(work), len(list((work / "index").iterdir()))

    words = ("index", "--model", model, "--corpus", "two", "--out", "index")
    return Job(
        words, _an_index(model), index_results, made, imports, native, replaced=lambda made: made[0]
    )


# stores


def _one_run(work: Path) -> None:
    command(*trec(work, 1))
    trec(work, 2)


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
    command(*trec(work, 2), "--db", "other.duckdb")
    command(*trec(work, 3), "--db", "other.duckdb")


def _two_runs(work: Path) -> None:
    _one_run(work)
    command(*trec(work, 2))


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


RECIPE = HEAD + """
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
        (work / "tiny.toml").write_text(RECIPE.format(base=base, pairs="pairs.jsonl"))

    return before


def _trained(work: Path) -> object:
    return files(work / "model", "training.json"), no_other_names(work)


def _model_files(work: Path) -> dict[str, str]:
    return files(work / "model", "training.json", "unfinished")


def _write_benchmarks(work: Path) -> None:
    from embedlab.tasks import benchmark_parts

    benchmark_parts.write(benchmark_parts.ask(), work / "home/benchmarks.json")


def _benchmarks(work: Path) -> object:
    return files(work / "home", "results", "lock", ".part")


def _published(work: Path) -> object:
    """What the site's page shows: each file that it names, whole."""
    page = (work / "site/index.html").read_text()
    named = re.findall(r"data/[a-z0-9.-]+", page)
    return {name: digest((work / "site" / name).read_text()) for name in named}


def _only_published(work: Path) -> object:
    shown = _published(work)
    return shown, {f"data/{path.name}" for path in (work / "site/data").iterdir()} == set(shown)


def _one_published(work: Path) -> None:
    _one_run(work)
    command("publish", "--out", "site")
    command(*trec(work, 2))


def _export(*options: str) -> Job:
    words = ("export", "out", *options)
    return Job(words, _two_runs, runs, _exported, STORE, final=_under_final_names)


# What is imported before the fork, once for all points.
TORCH = ("torch", "sentence_transformers", "embedlab.models", "embedlab.encoders.plain", "faiss")
STORE = ("duckdb", "pyarrow.parquet", "leaderboard.storage.store", "embedlab.evaluation.trec")
RUNS = ("embedlab.evaluation.run", "embedlab.rag.experiment")
LAB = (*TORCH, *STORE[:2], *RUNS, "mteb", "datasets")


def jobs(model: str, base: str) -> dict[str, Job]:
    """All of them: `model` is a small model's folder, `base` a small decoder's."""
    evaluation = (
        "eval", "--model", model, "--task", "corner", "--index", "torch", "--device", "cpu",
    )  # fmt: skip
    rag = (
        "rag", "--retriever", model, "--corpus", "corner", "--questions", "q.jsonl", "-k", "3",
        "--device", "cpu",
    )  # fmt: skip
    prune, before, scores = ("cache", "prune"), _evaluated(model), _scores(model)
    train = ("train", "tiny.toml", "--out", "model", "--device", "cpu")
    return {
        "index": index(model, *TORCH),
        "index bm25": index("bm25", native=True),
        "import trec": Job(imported(2), _one_run, _kept_run, runs, STORE, native=True),
        "import mteb": Job(
            ("import", "results"), _mteb_results, _kept_run, runs, (*STORE, "mteb"), native=True
        ),
        "merge": Job(
            ("merge", "other.duckdb"), _another_store, _kept_run, runs, STORE, native=True
        ),
        "runs rm": Job(
            _remove, _two_runs_and_an_id, _kept_run, runs, STORE, native=True, once=True
        ),
        "export parquet": _export(),
        "export trec": _export("--format", "trec"),
        "eval": Job(evaluation, _folder_and_run, _kept_run, runs, LAB, native=True),
        "rag": Job(rag, _questions, _kept_run, runs, LAB, native=True),
        "export csv": _export("--format", "csv"),
        "export mteb": _export("--format", "mteb"),
        "cache prune --model": Job(
            (*prune, "--model", "tiny"), before, scores, scores, LAB, once=True
        ),
        "cache prune": Job(prune, before, scores, scores, LAB),
        "dashboard": Job(_write_benchmarks, _one_run, _kept_run, _benchmarks, LAB),
        "publish": Job(
            ("publish", "--out", "site"),
            _one_published,
            _published,
            _only_published,
            (*STORE, "mteb"),
            native=True,
            replaced=lambda made: made[0],
        ),
        "train": Job(
            train,
            _recipe(base),
            _kept_run,
            _trained,
            (*TORCH, "datasets", "accelerate"),
            native=True,
            final=_model_files,
        ),
        "train untrained": Job(
            (*train, "--untrained"),
            _recipe(base),
            _kept_run,
            _trained,
            TORCH,
            native=True,
            once=True,
            final=_model_files,
        ),
    }
