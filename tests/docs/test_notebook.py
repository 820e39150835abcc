"""The notebook runs from its first cell to its last, and is stored without outputs."""

import ast
import json

import pytest

from tests.docs.blocks import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def cells(path):
    return [
        cell
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]


def run(source: str, names: dict) -> str:
    """What Jupyter does with a cell: all of it is run, and its last line, which is an expression,
    is shown.
    """
    *body, last = ast.parse(source).body
    assert isinstance(last, ast.Expr), "each cell shows something"
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return repr(eval(compile(ast.Expression(last.value), "cell", "eval"), names))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook(path, reader, capfd):
    shown = [run("".join(cell["source"]), reader.names) for cell in cells(path)]
    written = "".join(capfd.readouterr())
    assert "Traceback" not in written and "Error" not in written
    assert "bm25" in shown[0] and "base-mean" in shown[0]
    assert "d2" in shown[-2] and "['d2']" in shown[-1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_is_stored_without_outputs(path):
    assert not [cell for cell in cells(path) if cell["outputs"] or cell["execution_count"]]


def test_there_is_a_notebook():
    assert NOTEBOOKS
