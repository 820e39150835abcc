"""The commands with their options, from the application that `embedlab` runs."""

from collections.abc import Iterator
from typing import Any

import typer

from embedlab import cli
from generators.page_tables import code, table

_HEAD = """# Commands

`embedlab COMMAND -h` prints the same. Options that `eval` shares with `embedlab.evaluate` are on
[their own page](options.md); what `--json` writes is in [JSON](json.md).

Exit codes: 0; 2 for what you can mend, with one message; 1 for a fault of the program; 130 after
Ctrl-C. `embedlab --debug COMMAND` shows the traceback of an error.
"""


def application() -> Any:
    """The command line as one object, with all its commands."""
    cli.app.registered_commands.clear()
    cli.app.registered_groups.clear()
    cli._register()
    return typer.main.get_command(cli.app)


def commands(group: Any, path: str = "embedlab") -> Iterator[tuple[str, Any]]:
    """(what is typed, command) of each command, those of its groups included."""
    for name, command in group.commands.items():
        typed = f"{path} {name}"
        if hasattr(command, "commands"):
            yield from commands(command, typed)
        else:
            yield typed, command


def page() -> str:
    """The page reference/commands.md."""
    return _HEAD + "".join(_section(typed, command) for typed, command in commands(application()))


def _section(typed: str, command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [
        each
        for each in command.params
        if each.param_type_name == "option" and "--help" not in each.opts
    ]
    usage = " ".join(
        [typed, *(["[OPTIONS]"] if options else []), *(_metavar(each) for each in arguments)]
    )
    parts = [f"\n## {typed}\n", f"```text\n{usage}\n```\n", _text(command.help or "")]
    if arguments:
        parts.append(
            table(
                ["argument", "meaning"],
                [[code(_metavar(each)), each.help or ""] for each in arguments],
            )
        )
    if options:
        rows = [
            [" ".join(map(code, each.opts)), each.help or "", code(_default(each))]
            for each in options
        ]
        parts.append(table(["option", "meaning", "default"], rows))
    return "\n".join(parts)


def _metavar(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def _default(option: Any) -> object:
    """The default as one would type it; nothing for switches, and where there is none."""
    default = option.default
    return (
        default if isinstance(default, str | int | float) and not isinstance(default, bool) else ""
    )


def _text(help: str) -> str:
    """A command's description; what is marked to keep its lines (`\\b`) becomes a block."""
    parts = []
    for part in help.strip().split("\n\n"):
        kept = part.startswith("\b")
        parts.append(f"```text\n{part.strip(chr(8)).strip(chr(10))}\n```" if kept else part)
    return "\n\n".join(parts) + "\n"
