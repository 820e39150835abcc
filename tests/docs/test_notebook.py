"""The notebook runs from its first cell to its last, and is stored without outputs."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.blocks import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook(path, home, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in cells), "each cell shows something"
    written = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
    assert "Traceback" not in written and "Error" not in written
    shown = [str(cell.outputs[-1].get("data", {}).get("text/plain", "")) for cell in cells]
    assert "bm25" in shown[0] and "base-mean" in shown[0]
    assert "d2" in shown[-2] and "['d2']" in shown[-1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_is_stored_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


def test_there_is_a_notebook():
    assert NOTEBOOKS
