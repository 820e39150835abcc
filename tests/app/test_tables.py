"""Tables as HTML: escaped, figures on the right with four decimals,
the best in bold, headers for screen readers.
"""

from app.tables import Link, Order, render
from leaderboard.tables.table import Column
from tests.app.sample import SCRIPT


def test_user_text_is_escaped_everywhere():
    hostile = f'"{SCRIPT}'
    html = render(
        [Column(hostile, [hostile, Link(hostile, f"run?view={hostile}")], help=hostile)], hostile
    )
    assert "<script>" not in html
    # The header, its help, 3 cells' parts, label, caption.
    assert html.replace("<wbr>", "").count("&lt;script&gt;alert(1)&lt;/script&gt;") == 7
    assert 'href="run?view=&quot;&lt;script' in html


def test_figures():
    html = render(
        [Column("Model", ["a", "b", "c"]), Column("Score", [0.25, 0.123456, None], best="max")],
        "scores",
    )
    assert '<th scope="col" class="figure">Score</th>' in html
    assert '<td class="figure"><strong>0.2500</strong></td>' in html
    assert '<td class="figure">0.1235</td>' in html
    assert 'aria-label="unknown">–' in html
    assert html.count("<strong>") == 1 and html.count('<th scope="row">') == 3
    assert 'role="region" tabindex="0" aria-label="scores"' in html


def test_headers_sort_and_rows_are_cards_where_asked_for():
    columns = [Column("Model", ["a"]), Column("A & B", [0.5])]
    plain = render(columns, "scores")
    assert "aria-sort" not in plain and "data-label" not in plain and 'role="cell"' not in plain
    order = Order("A & B", True, lambda name: f"leaderboard?sort={name}")
    html = render(columns, "scores", order=order, cards=True)
    assert 'aria-sort="descending"' in html and html.count("aria-sort") == 1
    assert 'href="leaderboard?sort=A &amp; B"' in html
    assert 'role="cell" data-label="A &amp; B" class="figure">0.5000' in html
    assert 'role="rowheader" data-label="Model"' in html and 'class="lab-table cards"' in html


def test_nan_is_unknown_and_never_the_best():
    html = render(
        [Column("Model", ["a", "b", "c"]), Column("AP", [float("nan"), 0.5, 0.25], best="max")],
        "scores",
    )
    assert (
        "nan" not in html and "<strong>0.5000</strong>" in html and 'aria-label="unknown"' in html
    )


def test_the_lowest_may_be_the_best_and_ties_are_all_bold():
    html = render(
        [Column("Model", ["a", "b", "c"]), Column("Borda", [1, 1, 3], best="min")], "ranks"
    )
    assert html.count("<strong>1</strong>") == 2
    html = render([Column("Model", ["a", "b"]), Column("Borda", [1, 1], best="min")], "ranks")
    assert "<strong>" not in html  # none stands out


def test_large_and_signed_figures():
    html = render([Column("Cost", [1234567.891, -0.00001, 0.5], signed=True)], "costs")
    assert ">+1,234,568<" in html and ">+0.0000<" in html and ">+0.5000<" in html
