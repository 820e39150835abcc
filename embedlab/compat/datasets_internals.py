"""Private API of datasets, read in datasets 5.2."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datasets import Dataset


def table_rows(dataset: "Dataset") -> np.ndarray | None:
    """The row of its Arrow table that each row of a data set is, after `select`, `filter` and the
    like: int64 `[n]`; None where it is the same (`Dataset._indices`).
    """
    if dataset._indices is None:
        return None
    rows: np.ndarray = dataset._indices.column(0).to_numpy().astype(np.int64)
    return rows
