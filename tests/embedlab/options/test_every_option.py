"""Every option of every command has a test of its effect, which names it:
@pytest.mark.effect("eval --workers").
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from embedlab import cli

TESTS = Path(__file__).parents[2]
TYPERS = {"--install-completion", "--show-completion"}  # typer's own


def options() -> Iterator[tuple[str, list[str]]]:
    """Every option of the program: its command, and the ways to write it."""
    cli.app.registered_commands.clear()
    cli.app.registered_groups.clear()
    cli._register()

    def walk(command, name: str):
        for parameter in command.params:
            if parameter.param_type_name == "option" and not TYPERS & set(parameter.opts):
                yield name, [*parameter.opts, *parameter.secondary_opts]
        for word, below in getattr(command, "commands", {}).items():
            yield from walk(below, f"{name} {word}".strip())

    yield from walk(typer.main.get_command(cli.app), "")


def effect_tests() -> Iterator[tuple[str, str, str]]:
    """What the tests' marks name, with the test and the source of it and of its file's fixtures."""
    for path in sorted(TESTS.rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if "mark.effect" not in source:
            continue
        functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
        fixtures = {function.name: ast.unparse(function) for function in functions}
        for function in functions:
            marks = [
                mark for mark in function.decorator_list if "mark.effect(" in ast.unparse(mark)
            ]
            function.decorator_list = [
                mark for mark in function.decorator_list if mark not in marks
            ]
            own = [
                ast.unparse(function),
                *(fixtures.get(argument.arg, "") for argument in function.args.args),
            ]
            for mark in marks:
                for argument in mark.args:
                    yield (
                        ast.literal_eval(argument),
                        f"{path.name}::{function.name}",
                        "\n".join(own),
                    )


TESTED = {named for named, _, _ in effect_tests()}


@pytest.mark.parametrize(("command", "spellings"), options(), ids=lambda value: str(value))
def test_an_option_has_a_test_of_its_effect(command, spellings):
    assert any(f"{command} {spelling}".strip() in TESTED for spelling in spellings), (
        f"No test is marked @pytest.mark.effect({f'{command} {spellings[0]}'.strip()!r})."
    )


@pytest.mark.parametrize(
    ("named", "test", "source"), effect_tests(), ids=lambda value: str(value)[:60]
)
def test_a_test_uses_what_it_names(named, test, source):
    option = named.rpartition(" ")[2]
    known = {
        f"{name} {spelling}".strip() for name, spellings in options() for spelling in spellings
    }
    assert named in known, f"{test} names an option that there is not"
    assert repr(option) in source, f"{test} never types {option}"
