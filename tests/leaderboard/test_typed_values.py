"""The one validator of what people write in JSON and TOML."""

from dataclasses import dataclass, field

import pytest

from leaderboard.typed_values import Misfit, convert


@dataclass(frozen=True)
class Stage:
    steps: int
    layers: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Recipe:
    stages: list[Stage]
    lengths: dict[str, int] = field(default_factory=dict)


def test_what_fits_is_the_dataclass():
    found = convert({"stages": [{"steps": 3, "layers": [1, 2]}], "other": 1}, Recipe)
    assert found == Recipe([Stage(3, [1, 2])])


@pytest.mark.parametrize(
    ("values", "problem", "place"),
    [
        ([], "Expected `object`, got `array`", ()),
        ({}, "Object missing required field `stages`", ()),
        ({"stages": [{}]}, "stages[0] = {}: Object missing required", ("stages", 0)),
        ({"stages": [{"steps": "x"}]}, "steps = 'x': Expected `int`", ("stages", 0, "steps")),
        (
            {"stages": [{"steps": 1, "layers": [1, "y"]}]},
            "layers[1] = 'y': Expected `int`, got `str`",
            ("stages", 0, "layers", 1),
        ),
        ({"stages": [], "lengths": {"a": None}}, "got `null`", ("lengths",)),
    ],
)
def test_what_does_not_fit_names_the_value_and_its_place(values, problem, place):
    with pytest.raises(Misfit) as error:
        convert(values, Recipe)
    assert problem in str(error.value) and error.value.place == place
