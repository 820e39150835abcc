"""No score depends on what else was asked, on order, neighbours, names, workers, warmth or a kill.

Each (model shape, task type) is evaluated plainly once, then in every other way
(`variations.VARIATIONS`), through the command line and out of the store: all scores and rankings
are the same.
"""

import math
from collections.abc import Callable
from functools import cache

import pytest

from tests.invariants import worlds
from tests.invariants.sizes import shrink
from tests.invariants.variations import VARIATIONS
from tests.invariants.worlds import Groups, Results


@pytest.fixture(scope="module")
def asked(tmp_path_factory, word_tokenizer):
    """Gives the results of a way of asking, which is done once;
    without any, those of asking plainly.
    """
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch.setattr)
        world = worlds.make(tmp_path_factory.mktemp("world"), word_tokenizer)
        plainly = world.evaluate()

        @cache
        def once(ask: Callable, groups: Groups) -> Results | Exception:
            try:
                return ask(world, groups)
            except Exception as error:
                return error

        def results(ask: Callable | None = None, groups: Groups = ()) -> Results:
            found = once(ask, groups) if ask else plainly
            if isinstance(found, Exception):
                raise found
            return found

        yield results


CASES = [
    (name, *cell)
    for name, variation in VARIATIONS.items()
    for cell in worlds.CELLS
    if variation.cells(*cell)
]


@pytest.mark.parametrize(("name", "shape", "kind"), CASES)
def test_scores_are_the_same(asked, name, shape, kind):
    variation = VARIATIONS[name]
    plain, found = (
        asked(ask, variation.groups)[shape, kind] for ask in (variation.plainly, variation.ask)
    )
    assert found and found.keys() <= plain.keys()
    assert variation.plainly or found.keys() == plain.keys()
    for part, scored in found.items():
        for metric, score in scored.scores.items():
            assert same(score, plain[part].scores[metric], variation.tolerance), (part, metric)
        assert scored.ranking.keys() == plain[part].ranking.keys()
        for query, ranked in scored.ranking.items():
            expected = plain[part].ranking[query]
            assert [document for document, _ in ranked] == [document for document, _ in expected], (
                part,
                query,
            )
            for (document, score), (_, right) in zip(ranked, expected, strict=True):
                assert same(score, right, variation.tolerance), (part, query, document)


def test_there_is_something_to_compare(asked):
    plain = asked()
    assert set(plain) == set(worlds.CELLS)
    assert all(
        math.isfinite(scored.scores["main"]) and len(scored.scores) > 0
        for parts in plain.values()
        for scored in parts.values()
    )
    assert all(
        scored.ranking
        for (_, kind), parts in plain.items()
        if kind in worlds.RANKING
        for scored in parts.values()
    )


def same(found: float, right: float, tolerance: float) -> bool:
    return (
        found == right
        or (math.isnan(found) and math.isnan(right))
        or abs(found - right) <= tolerance * max(1, abs(right))
    )
