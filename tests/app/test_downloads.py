"""The downloads hold what the table holds."""

import io

import pandas as pd

from app.downloads import _parquet, csv, latex
from tests.app.sample import SCRIPT


def test_parquet_comes_back():
    frame = pd.DataFrame({"label": [SCRIPT, "b_1"], "mean": [0.5, None]})
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(_parquet(frame))), frame)


def test_latex_escapes_and_leaves_out_empty_columns():
    text = latex(
        pd.DataFrame(
            {
                "label": ["50% & a_b\n\n \\input{x}"],
                "mean": [0.123456],
                "empty": [None],
                "blank": [""],
            }
        )
    )
    assert r"50\% \& a\_b   \textbackslash{}input\{x\} & 0.1235" in text
    assert "empty" not in text and "blank" not in text and r"\toprule" in text


def test_no_cell_of_a_csv_is_a_formula():
    models = ["=1+1", "@SUM(A1)", "-2+3", "plain", "\tx", "\n=1"]
    frame = pd.DataFrame({"model": models, "score": [-1.5, 2, 3, 4, 5, 6], "=cmd|x": 0})
    cells = pd.read_csv(io.StringIO(csv(frame)))
    assert [cell[0] for cell in cells["model"]] == ["'", "'", "'", "p", "'", "'"] and cells[
        "score"
    ][0] == -1.5
    assert list(cells) == ["model", "score", "'=cmd|x"]
