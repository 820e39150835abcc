"""Heat maps as tables: escaped, coloured from low to high, readable aloud."""

import re

from app.heat import render
from tests.app.sample import SCRIPT


def steps(html: str) -> list[int]:
    return [int(step) for step in re.findall(r'<td class="h(\d+)"', html)]


def test_colours_run_from_the_lowest_to_the_highest_figure():
    html = render(["a", "b"], ["T1", "T2"], [[0.0, 0.5], [None, 1.0]], "scores")
    assert steps(html) == [0, 12, 23]
    assert ">0.5000</td>" in html and "<td></td>" in html and 'aria-label="scores"' in html
    assert "0.0000<span></span>1.0000" in html  # the key


def test_colours_may_compare_within_each_column():
    assert steps(
        render(["a", "b"], ["T1", "T2"], [[0.0, 0.5], [0.1, 1.0]], "", by_column=True)
    ) == [0, 0, 23, 23]


def test_with_many_columns_figures_show_when_pointed_at():
    names = [f"T{number}" for number in range(20)]
    html = render([SCRIPT], names, [[0.25] * 20], SCRIPT)
    assert 'title="T3: 0.2500">0.2500</td>' in html and "compact" in html
    assert "<script>" not in html
