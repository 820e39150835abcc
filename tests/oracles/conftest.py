"""What the oracles share: tiny models, a mirror of tiny tasks,
what the store holds of them, and the coverage table.
"""

import contextlib
import io
import re
import sys
from pathlib import Path

import pytest

from tests.oracles import shapes, task_types


@pytest.fixture(scope="session")
def models(tmp_path_factory, word_tokenizer):
    """Shape -> `shapes.Shape`."""
    return shapes.make(tmp_path_factory.mktemp("shapes"), word_tokenizer)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    return task_types.mirror(tmp_path_factory.mktemp("mirror"))


@pytest.fixture(scope="module")
def sizes():
    """What both sides see alike: fewer repetitions than mteb has, for time's sake, means not
    rounded, and what one task fetches from the hub while it scores.
    """
    from mteb._evaluators import retrieval_metrics
    from mteb.abstasks import AbsTaskClassification, AbsTaskClustering, AbsTaskRegression
    from mteb.tasks.instruction_reranking.eng import core17_instruction_retrieval

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AbsTaskClustering, "max_documents_per_cluster", 100)
        patch.setattr(AbsTaskClustering, "n_clusters", 3)
        patch.setattr(AbsTaskClassification, "n_experiments", 2)
        patch.setattr(AbsTaskRegression, "n_experiments", 2)
        whole = lambda number, digits=0: number if digits else round(number)  # noqa: E731
        patch.setattr(retrieval_metrics, "round", whole, raising=False)
        patch.setattr(
            core17_instruction_retrieval, "load_dataset", lambda *_, **__: task_types.changed()
        )
        yield


@pytest.fixture(scope="module")
def stored(request, sizes, models, data_dir, tmp_path_factory):
    """(shape, task type) -> (split, subset) -> scores in the store, after one command for many
    models and tasks; and (shape, task type) -> why there are none. Only what the tests that were
    chosen ask for.
    """
    cells = [
        item.callspec.params
        for item in request.session.items
        if item.path.parent == Path(__file__).parent and "stored" in item.fixturenames
    ]
    kinds = task_types.kinds()
    groups: dict[tuple, list[str]] = {}
    for name in dict.fromkeys(cell["shape"] for cell in cells):
        asked = tuple(cell["kind"] for cell in cells if cell["shape"] == name)
        groups.setdefault((models[name].options, asked), []).append(name)
    home = tmp_path_factory.mktemp("home")
    found, refused = {}, {}
    for number, ((options, asked), names) in enumerate(groups.items()):
        typed, db = [models[name].typed for name in names], home / f"{number}.duckdb"
        said = evaluate(typed, [kinds[name].task for name in asked], options, data_dir, home, db)
        shape_of = {recorded(models[name].typed): name for name in names}
        read(db, said, shape_of, kinds, found, refused)
    return found, refused


def evaluate(models, tasks, options, data_dir, home, db) -> str:
    """One `embedlab eval`: what it said on standard error."""
    chosen = [
        *(part for model in models for part in ("--model", model)),
        *(part for t in tasks for part in ("--task", t)),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDLAB_HOME", str(home))
        code, said = embedlab(
            "eval", *chosen, *options, "--data-dir", data_dir, "--db", db, "--dtype", "float32"
        )
    assert code in (0, 2), said
    return said


def read(db, said: str, shape_of: dict, kinds: dict, found: dict, refused: dict) -> None:
    """Fill `found` from the store, `refused` from what was said;
    a task on other data than MTEB's is NAME@HASH.
    """
    from leaderboard.storage.store import Store

    kind_of = {kind.task: name for name, kind in kinds.items()}
    store, scores = Store(db), {}
    for row in store.query("SELECT run_id, metric, value FROM scores").to_pylist():
        scores.setdefault(row["run_id"], {})[row["metric"]] = row["value"]
    for run in store.runs().to_pylist():
        cell = shape_of[run["model"]], kind_of[run["task"].partition("@")[0]]
        found.setdefault(cell, {})[run["split"], run["subset"]] = scores[run["id"]] | {
            "main": run["main_score"]
        }
    for model, task, reason in re.findall(
        r"^(\S+) (?:skips|on) ([^\s@:]+)\S*(?:: | failed: )(.*)$", said, re.MULTILINE
    ):
        refused[shape_of[recorded(model)], kind_of[task]] = reason


def embedlab(*arguments) -> tuple[int, str]:
    """A command line in this process: exit code, standard error."""
    from embedlab import cli

    cli.app.registered_commands.clear()
    cli.app.registered_groups.clear()
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["embedlab", *map(str, arguments)])
        try:
            cli.run()
        except SystemExit as stop:
            code = stop.code or 0
    return code, err.getvalue()


def recorded(typed: str) -> str:
    """The name under which a model is recorded: its folder's, its class's."""
    return typed.rpartition(":")[2].rpartition("/")[2]


def pytest_terminal_summary(terminalreporter):
    """The coverage table: task types down, model shapes across."""
    cells = {}
    for outcome in ("passed", "failed", "xfailed"):
        for report in terminalreporter.stats.get(outcome, ()):
            properties = dict(getattr(report, "user_properties", ()))
            if "oracle" in properties:
                row, column, text = properties["oracle"]
                cells[row, column] = text if outcome == "passed" else outcome.upper()
    if not cells:
        return
    rows, columns = (list(dict.fromkeys(cell[axis] for cell in cells)) for axis in (0, 1))
    terminalreporter.section(
        "embedlab eval against mteb.evaluate on a fresh task: number of scores compared"
    )
    width = max(map(len, rows)) + 1
    terminalreporter.write_line(" " * width + " ".join(f"{column:>12.12}" for column in columns))
    for row in rows:
        line = " ".join(f"{cells.get((row, column), ''):>12.12}" for column in columns)
        terminalreporter.write_line(f"{row:<{width}}{line}")
