"""The report of a study: report.md, report.html, figures and table.tex, every number with the
command that gives it.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from embedlab.errors import UserError
from embedlab.evaluation.environment import environment
from embedlab.studies import (
    figures,
    pages,
    report_figures,
    report_tables,
    study_file,
    written_recipe,
)
from embedlab.studies.findings import Findings, Tested, gather
from embedlab.studies.pages import Data, Heading, Part, Picture, Points, Shell, Text
from embedlab.studies.plan import Plan
from embedlab.studies.study_run import StudyOutcome
from leaderboard.atomic_files import atomic_write
from leaderboard.tables.table import latex

_NO_FIGURES = "There are no figures: they need matplotlib. Type: pip install 'embedlab[study]'"
_OURS = ("report.md", "report.html", "table.tex", "figures", "recipes")
_TESTS = {
    "randomisation": "Fisher's randomisation test",
    "bootstrap": "the paired bootstrap test",
    "t": "the paired t-test",
}
_CORRECTIONS = {
    "holm": "corrected by Holm's method",
    "bh": "corrected by Benjamini and Hochberg's method",
    "none": "not corrected",
}


def write(plan: Plan, outcome: StudyOutcome, folder: Path, *, db: Path) -> Findings:
    """Write the report of what is known by now.

    Args:
        plan: of the study.
        outcome: of this call; what failed is in the report.
        folder: of the report; what an earlier report wrote there is replaced.
        db: the results store.

    Returns:
        The findings that it shows.

    Raises:
        UserError: the folder holds somebody else's files.
    """
    if folder.is_dir() and {path.name for path in folder.iterdir()} - {*_OURS}:
        raise UserError(f"{folder} holds other files.", "Give another folder: --out DIR")
    found = gather(plan, outcome.failures, db=db, folder=folder)
    folder.mkdir(parents=True, exist_ok=True)
    recipes = folder / "recipes"
    for member, _ in found.trained:
        if member.recipe:
            recipes.mkdir(exist_ok=True)
            text = written_recipe.toml(member.recipe)
            _write(recipes / f"{member.recipe.name}.toml", text)
    parts = list(_parts(found, folder / "figures"))
    _write(folder / "report.html", pages.in_html(parts, plan.study.title))
    if found.scores:
        legend = [found.commands.leaderboard(task) for task in found.tasks()]
        _write(folder / "table.tex", latex(report_tables.scores(found), legend) + "\n")
    _write(folder / "report.md", pages.in_markdown(parts))
    return found


def _write(file: Path, text: str) -> None:
    with atomic_write(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _parts(found: Findings, folder: Path) -> Iterator[Part]:
    study = found.plan.study
    yield Heading(study.title, 1)
    yield Text(study.question)
    if study.notes:
        yield Text(study.notes)
    yield Points(found.summary())
    if found.missing:
        yield Heading("What is missing")
        yield Points(found.missing)
    drawn = figures.available()
    if not drawn:
        yield Text(_NO_FIGURES)
    if found.scores:
        yield from _scores(found)
    for number, family in enumerate(found.tested, 1):
        yield from _family(family, number, folder if drawn else None)
    if found.grids:
        yield from _views(found, folder if drawn else None)
    if found.trained:
        yield from _trainings(found, folder if drawn else None)
    if found.curve:
        yield from _curve(found, folder if drawn else None)
    if found.perplexities:
        yield from _perplexity(found)
    if found.scores:
        yield Heading("Every score")
        yield Text("One line per member, seed and task; the command shows all about its run.")
        yield Data(report_tables.every_score(found), code=("command",))
    yield from _how(found)


def _scores(found: Findings) -> Iterator[Part]:
    yield Heading("Scores")
    yield Text(
        "Several seeds: their mean, and their standard deviation behind ±. One seed, or a model"
        " that was not trained here: the score, and in brackets its 95% interval over queries, or"
        " examples where nothing is ranked. The same table for LaTeX: table.tex."
    )
    yield Data(report_tables.scores(found))
    yield Shell([found.commands.leaderboard(task) for task in found.tasks()])


def _family(family: Tested, number: int, folder: Path | None) -> Iterator[Part]:
    yield Heading(family.planned.name)
    if family.found:
        tested = sum(pair.p is not None for pair in family.found.pairs)
        yield Text(
            f"{_TESTS[family.planned.test]}, paired by query, on each task; p-values of"
            f" {tested} test{'s' * (tested != 1)} {_CORRECTIONS[family.planned.correction]}. Means"
            " over tasks are a family of their own. A dash stands where nothing can be tested."
        )
        if folder and (picture := report_figures.differences(family, number, folder)):
            yield picture
        yield Data(report_tables.tested(family))
        yield Shell([family.command])
    if family.notes:
        yield Points(family.notes)


def _views(found: Findings, folder: Path | None) -> Iterator[Part]:
    yield Heading("Layers and dimensions")
    yield from report_figures.views(found, folder) if folder else ()
    models = dict.fromkeys((member.name, task) for member, task, _ in found.grids)
    yield Shell([found.commands.grid(name, task) for name, task in models])


def _trainings(found: Findings, folder: Path | None) -> Iterator[Part]:
    yield Heading("Trainings")
    yield Text(
        "Wall time counts what stopped processes did up to the checkpoint from which the next went"
        " on. Tokens are those that the model read, padding left out."
    )
    yield Data(report_tables.trainings(found))
    if folder:
        drawn: list[Picture | None] = [
            report_figures.losses(found, folder),
            report_figures.steps(found, folder),
        ]
        yield from (picture for picture in drawn if picture)
    names = [member.recipe.name for member, _ in found.trained if member.recipe]
    yield Shell(
        [
            shlex.join(["embedlab", "train", f"{found.folder / 'recipes' / name}.toml"])
            for name in names
        ]
    )


def _curve(found: Findings, folder: Path | None) -> Iterator[Part]:
    yield Heading("Score against steps")
    if folder and (picture := report_figures.by_step(found, folder)):
        yield picture
    yield Data(report_tables.by_step(found))
    tasks = dict.fromkeys(scored.task for _, _, scored in found.curve)
    yield Shell([found.commands.leaderboard(task) for task in tasks])


def _perplexity(found: Findings) -> Iterator[Part]:
    """Whether the members that kept the head of a language model still write."""
    measured = next(each for _, *both in found.perplexities for each in both if each)
    yield Heading("Perplexity")
    yield Text(
        "What kept its language model is to go on writing: perplexity before the first step and"
        f" after the last, on {measured.texts} texts ({measured.source}),"
        f" {measured.max_length} tokens of each at most; lower is better."
    )
    yield Data(report_tables.perplexities(found))
    twins = {
        member.group: str(member.folder) for member in found.plan.members if member.role == "twin"
    }
    names = [
        name
        for member, before, after in found.perplexities
        for name, known in ((twins.get(member.twin, ""), before), (str(member.folder), after))
        if known
    ]
    yield Shell([shlex.join(["embedlab", "perplexity", *dict.fromkeys(names)])])


def _how(found: Findings) -> Iterator[Part]:
    plan, machine = found.plan, environment()
    yield Heading("How it was done")
    yield Text(
        "Every model was evaluated by the same request as embedlab eval makes: each text encoded"
        " once, scored by MTEB's metrics. An untrained twin is the same model before its first"
        " step, with the same seed. Several seeds are compared by their mean, query by query: the"
        " tests ask whether the difference holds for other queries, not for other seeds; how far"
        " seeds differ is in the table of scores. Intervals resample queries (percentile"
        " bootstrap). The mean over tasks is tested over queries with the tasks as strata where"
        " every task is scored query by query, else over tasks where there are six or more."
    )
    packages = machine.get("packages", {})
    versions = [f"{name} {packages[name]}" for name in _PACKAGES if packages.get(name)]
    facts = [
        f"Tasks: {', '.join(task.name for task in plan.tasks)}.",
        f"Report written on {machine['cpu']}, {machine['cores']} cores; {', '.join(versions)}.",
    ]
    if plan.study.budget:
        facts.append(f"Budget: {plan.study.budget}")
    yield Points(facts)
    yield Text("The whole study again; what is there is used:")
    yield Shell([_again(found)])


_PACKAGES = ("embedlab", "torch", "transformers", "sentence-transformers", "mteb")


def _again(found: Findings) -> str:
    from embedlab.resources import home

    db = found.commands.db
    study = found.plan.study
    words = ["embedlab", "study", str(found.plan.path)]
    written = study_file.read(found.plan.path)[0]
    words += [
        word for task in study.tasks if task not in written.tasks for word in ("--task", task)
    ]
    if study.options.get("data_dir") != written.options.get("data_dir"):
        words += ["--data-dir", str(study.options["data_dir"])]
    if found.folder != db.parent / "studies" / study.name:
        words += ["--out", str(found.folder)]
    if db != home() / "results.duckdb":
        words += ["--db", str(db)]
    return shlex.join(words)
