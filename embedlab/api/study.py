"""`embedlab.study`: a comparison as a paper does it, from Python."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from embedlab.api.results import Results
from embedlab.progress import Reporter
from embedlab.resources import home


@dataclass(frozen=True)
class StudyResults:
    """What a study found.

    results: the store that holds its runs. report: the folder of the report. scores: one row per
    member, seed and task, with interval and run ids. comparisons: one row per planned pair and
    task; the fields of `leaderboard.tables.comparison.Pair` behind the family's name. failures: as
    in `Results.failures`. missing: what is not there, in sentences.
    """

    results: Results
    report: Path
    scores: pd.DataFrame
    comparisons: pd.DataFrame
    failures: pd.DataFrame
    missing: list[str]


def study(
    file: str | Path,
    *,
    tasks: Sequence[str | Path] = (),
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    db: str | Path | None = None,
    progress: bool = True,
) -> StudyResults:
    """Run a study, as `embedlab study` does: train, evaluate, test, report. What is there is used.

    Args:
        file: a TOML file, or the name of a shipped study.
        tasks: further tasks, such as BEIR folders of this machine.
        data_dir: a local mirror of MTEB's data sets.
        out: the report's folder; studies/NAME beside the store by default.
        device: torch device; None takes a GPU where there is one.
        db: the results store; EMBEDLAB_HOME/results.duckdb by default.
        progress: show bars and notes on standard error.

    Raises:
        UserError: the file or something that it names is wrong; then nothing has run. Where a part
            failed, a warning says so, and the others are done.
    """
    from embedlab import hub
    from embedlab.errors import training_packages

    with training_packages("A study"):
        from embedlab.studies import plan, report, study_file, study_run

    hub.settle()
    written, path = study_file.read(Path(file))
    asked = study_file.here(
        written, [str(task) for task in tasks], None if data_dir is None else Path(data_dir)
    )
    store = Path(db) if db else home() / "results.duckdb"
    planned = plan.make(asked, path, db=store, device=device)
    reporter = Reporter(store, quiet=not progress)
    outcome = study_run.run(planned, db=store, device=device, reporter=reporter)
    folder = Path(out) if out else store.parent / "studies" / asked.name
    found = report.write(planned, outcome, folder, db=store)
    if found.failures:
        first = found.failures[0]
        warnings.warn(
            f"{len(found.failures)} parts of the study failed, the first of them {first.model} on"
            f" {first.task}: {first.problem}",
            stacklevel=2,
        )
    pairs = [
        {"comparison": family.planned.name, **asdict(pair)}
        for family in found.tested
        if family.found
        for pair in family.found.pairs
    ]
    failures = [
        {name: getattr(each, name) for name in ("model", "task", "problem", "hint")}
        for each in found.failures
    ]
    return StudyResults(
        Results(store),
        folder,
        pd.DataFrame([asdict(each) for each in found.scores]),
        pd.DataFrame(pairs),
        pd.DataFrame(failures, columns=["model", "task", "problem", "hint"]),
        found.missing,
    )
