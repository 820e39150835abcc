"""`embedlab tasks`: what models can be evaluated on."""

from pathlib import Path
from typing import Annotated, Any

import typer

from embedlab.cli import _completion
from embedlab.cli._json import print_json
from embedlab.tasks import __doc__ as description
from embedlab.terminal import console, echo

_SAMPLED, _LISTED, _LONGEST = 3, 8, 600  # rows, of a list, characters


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATTERN | show NAME]",
            help="Only names that contain PATTERN, MTEB's too; or one task in full, with a sample.",
            autocompletion=_completion.tasks,
        ),
    ] = None,
    kind: Annotated[
        str, typer.Option("--type", help="Only this type: Retrieval, STS, Classification, ...")
    ] = "",
    benchmark: Annotated[str, typer.Option(help="Only the tasks of this benchmark.")] = "",
    data_dir: Annotated[
        Path | None, typer.Option(help="A local mirror; its tasks count as available.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The list as JSON on standard output.")
    ] = False,
) -> None:
    from embedlab.errors import UserError
    from embedlab.tasks.listing import rows

    if words and words[0] == "show":
        if len(words) != 2 or kind or benchmark:
            raise UserError("show takes one task.", "Type: embedlab tasks show SciFact")
        show(words[1], data_dir, as_json)
        return
    if len(words or []) > 1:
        raise UserError(
            f"tasks takes one pattern, not {len(words or [])}.",
            "Type: embedlab tasks PATTERN, or embedlab tasks show NAME",
        )
    pattern = words[0] if words else ""
    listed = rows(pattern, kind, benchmark, data_dir)
    if as_json:
        print_json({"tasks": listed})
        return
    from rich.table import Table

    table = Table()
    for column in ("name", "type", "main score", "data"):
        table.add_column(column, no_wrap=column == "name", overflow="fold")
    for row in listed:
        members = f"{row['tasks']} tasks" if "tasks" in row else row["main_score"]
        table.add_row(row["name"], row["type"], members, row["data"])
    console().print(table)
    if not (pattern or kind or benchmark or data_dir):
        echo(
            "MTEB's tasks: type `embedlab tasks PATTERN`, --type or --benchmark. A BEIR folder's"
            " path works too."
        )


def show(name: str, data_dir: Path | None, as_json: bool) -> None:
    """Print what is known of a task, and the beginning of its data where they are here."""
    from embedlab.errors import UserError
    from embedlab.tasks import catalogue, described, load, resolve
    from embedlab.tasks.listing import is_here

    if name.lower() in (each.lower() for each in catalogue.benchmarks()):
        raise UserError(f"{name} is a benchmark.", f"Type: embedlab tasks --benchmark {name}")
    members = resolve([name], data_dir=data_dir)
    (task, *others) = catalogue.find(name, apart=False)
    if others:
        raise UserError(f"{name} is a benchmark.", f'Type: embedlab tasks --benchmark "{name}"')
    known, sample = described.of_task(task), list[dict[str, Any]]()
    if not known["members"] and is_here(members[0], data_dir):
        loaded = load(members[0])
        known["sizes"] = known["sizes"] or described.sizes(loaded)
        sample = described.sample(loaded, _SAMPLED)
    if as_json:
        print_json({"task": known, "sample": sample})
        return

    from embedlab.cli._tables import print_columns
    from leaderboard.tables.table import Column

    for key in ("members", "replaced_by"):  # of few tasks
        if not known[key]:
            del known[key]
    print_columns(
        [
            Column("of the task", [key.replace("_", " ") for key in known]),
            Column(known["name"], [_shown(key, value) for key, value in known.items()]),
        ]
    )
    if not sample:
        echo(f"No sample: the data are not here. Type: embedlab eval --model bm25 --task {name}")
    for row in sample:
        echo("")
        for key, value in row.items():
            echo(f"{key}: {_cut(str(value))}")


def _shown(key: str, value: Any) -> str:
    """A fact in a cell; of a long list or text the beginning."""
    from embedlab.cli._tables import in_cell
    from leaderboard.measures import shown

    if key == "metric" and value is not None:
        return shown(value)
    if key == "sizes" and value is not None:
        return "; ".join(
            f"{split}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items())
            for split, counts in value.items()
        )
    return _cut(value) if isinstance(value, str) else in_cell(value, _LISTED)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


# \b keeps typer from filling the lines of a paragraph: the layout is a table.
command.__doc__ = "List tasks and benchmarks, and where their data are.\n\n" + "\n\n".join(
    f"\b\n{paragraph}" for paragraph in (description or "").strip().split("\n\n")
)
